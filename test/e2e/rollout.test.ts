// Rollouts with a verdict, with real peers and real processes: a canary that fails is taken back by itself and nobody
// notices, a steward may die in the middle, an operator may hold, promote and abort, and a hook runs once.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { after, before, describe, it } from 'node:test'
import type { Operation, RolloutsReply } from '../../node/serve/api/contract.ts'
import type { RolloutReply } from '../../node/serve/api/contract-rollout.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { applyOf, Fleet, ready, service, sleepUntilNextLook, until, type Peer } from './support/fleet.ts'
import { linkCaller, webServer } from './support/programs.ts'

let fleet: Fleet
let peers: readonly Peer[]
let a: Peer
let url = ''

const HEALTHY_MS = 200
const CHECK = {
  kind: 'http',
  path: '/healthz',
  intervalMs: HEALTHY_MS,
  timeoutMs: 1000,
  retries: 3,
  startPeriodMs: 10_000,
} as const

const web = (version: string, over: Partial<ServiceSpec> = {}): ServiceSpec =>
  service('web', webServer(version), {
    ports: { http: 0 },
    healthcheck: CHECK,
    replicas: 4,
    stopGraceMs: 5000,
    update: { order: 'start-first', parallelism: 2, canary: 1, monitorMs: 500, failureAction: 'rollback' },
    ...over,
  })

/** Ends before it is ever ready: nobody calls it, so nobody may notice. */
const crashing: readonly string[] = [
  execPath,
  '-e',
  `setTimeout(() => { console.log('out of luck'); process.exit(7) }, 300)`,
]

const caller = service('caller', linkCaller('web'), {
  ports: { http: 0 },
  uses: ['e2e/web'],
  healthcheck: { ...CHECK, path: '/', intervalMs: 500, retries: 5 },
})

const rolloutOf = async (peer: Peer, name = 'e2e/web'): Promise<RolloutReply> => {
  const { rollouts } = await peer.get<RolloutsReply>(`/v1/rollouts?service=${name}`)
  const [rollout] = rollouts
  assert.ok(rollout !== undefined)
  return rollout
}

const phase = (peer: Peer, wanted: RolloutReply['phase'], release?: string): Promise<RolloutReply> =>
  until(
    `the rollout is ${wanted}`,
    async () => {
      const rollout = await rolloutOf(peer)
      if (rollout.phase === wanted && (release === undefined || rollout.release === release)) return rollout
      throw new Error(`${rollout.release} is ${rollout.phase}: ${rollout.reason}`)
    },
    60_000,
  )

const say = (order: Extract<Operation, { kind: 'rollout' }>['order']): Operation => ({
  kind: 'rollout',
  service: 'e2e/web',
  order,
})

/** The release that a change makes `web` want. */
const deploy = async (peer: Peer, spec: ServiceSpec): Promise<string> => {
  const { releases } = await peer.change(applyOf(spec, caller))
  const release = releases?.['e2e/web']
  assert.ok(release !== undefined)
  return release
}

/** Slots that have run that release so far, of those that still show it. */
const slotsAt = async (peer: Peer, release: string): Promise<readonly string[]> => {
  const { instances } = await peer.instances()
  return instances
    .filter((one) => one.release === release && one.state !== 'pending' && one.state !== 'unfulfilled')
    .map(({ slot }) => slot)
    .sort()
}

/** Calls that failed so far, besides those of a link whose own peer was killed. */
const failedCalls = async (): Promise<number> => {
  const counts = (await (await fetch(url)).json()) as { readonly failed: number; readonly last: string }
  if (counts.failed > excused) process.stderr.write(`last failure: ${counts.last}\n`)
  return counts.failed - excused
}
let excused = 0

before(async () => {
  fleet = await Fleet.create()
  peers = await fleet.grow(3)
  const [first] = peers
  assert.ok(first !== undefined)
  a = first
  await a.change(applyOf(web('one'), caller))
  await ready(a, 'web', 4)
  const [instance] = await ready(a, 'caller', 1)
  url = `http://127.0.0.1:${Object.values(instance?.ports ?? {})[0]}/`
  await phase(a, 'done')
  await fleet.agree(peers)
  await (await fetch(`${url}go`)).text()
})
after(() => fleet.close())

describe('a canary', () => {
  it('that crashes is taken back everywhere, reaches no further slot, and no call fails (S8)', async () => {
    const { release: good } = await rolloutOf(a)
    const bad = await deploy(a, web('bad', { command: [...crashing] }))
    const reached = new Set<string>()
    const back = await until(
      'it is taken back',
      async () => {
        for (const slot of await slotsAt(a, bad)) reached.add(slot)
        const rollout = await rolloutOf(a)
        return rollout.release === good && rollout.phase === 'done' && rollout
      },
      60_000,
    )
    assert.deepEqual([...reached], ['e2e/web/0'])
    const [rejected] = back.rejected
    assert.equal(rejected?.release, bad)
    assert.equal(rejected?.to, good)
    assert.match(rejected?.reason ?? '', /^e2e\/web\/0 on p\d /)
    await fleet.agree(peers)
    await ready(a, 'web', 4)
    assert.equal(await failedCalls(), 0)
  })

  it('that failed is not tried again unchanged, unless somebody says so', async () => {
    const [, second] = peers
    assert.ok(second !== undefined)
    const same = applyOf(web('bad', { command: [...crashing] }), caller)
    await assert.rejects(
      () => second.change(same),
      (thrown: Error) => /was rejected .* tutti rollout retry e2e\/web/s.test(thrown.message),
    )
    const before = await rolloutOf(a)
    await second.change(say('retry'))
    const [once] = before.rejected
    await until('it is rejected again', async () => {
      const { phase: now, rejected } = await rolloutOf(a)
      return now === 'done' && rejected.length === 1 && rejected[0]?.at !== once?.at
    })
    assert.equal((await rolloutOf(a)).release, before.release)
    assert.equal(await failedCalls(), 0)
  })

  it('that holds lets the others follow, wave by wave', async () => {
    const release = await deploy(a, web('two'))
    await phase(a, 'canary', release)
    await phase(a, 'done', release)
    assert.equal((await slotsAt(a, release)).length, 4)
    assert.equal(await failedCalls(), 0)
  })
})

describe('a steward', () => {
  it('that is killed in the middle of a rollout changes nothing that a user sees (L5)', async () => {
    const release = await deploy(
      a,
      web('three', { update: { order: 'start-first', parallelism: 1, canary: 1, monitorMs: 1500 } }),
    )
    const { steward } = await phase(a, 'canary', release)
    const victim = peers.find(({ name }) => name === steward)
    const other = peers.find(({ name }) => name !== steward)
    assert.ok(victim !== undefined && other !== undefined)
    await victim.end('SIGKILL')
    await until(
      'another one is steward',
      async () => {
        const rollout = await rolloutOf(other)
        return rollout.steward !== steward && rollout.phase !== 'waiting'
      },
      30_000,
    )
    await victim.up()
    await phase(other, 'done', release)
    await fleet.agree(peers, 60_000)
    assert.equal((await slotsAt(a, release)).length, 4)
    const [instance] = await ready(a, 'caller', 1)
    url = `http://127.0.0.1:${Object.values(instance?.ports ?? {})[0]}/`
    // Its link ends with its peer; whoever called over another one saw nothing.
    if (instance?.peer === steward) excused = await failedCalls()
    else assert.equal(await failedCalls(), 0)
  })
})

describe('an operator', () => {
  const manual = { order: 'start-first', parallelism: 2, canary: 1, promote: 'manual' } as const

  it('promotes a canary by hand', async () => {
    const release = await deploy(a, web('four', { update: manual }))
    await until('it waits', async () => /waits? for tutti rollout promote/.test((await rolloutOf(a)).reason))
    assert.deepEqual(await slotsAt(a, release), ['e2e/web/0'])
    const status = await a.cli('rollout', 'status', 'e2e/web')
    assert.equal(status.code, 0, status.stderr)
    assert.match(status.stdout, /canary: its first slot is ready and waits for tutti rollout promote/)
    // Its peer says it once it has heard the steward.
    await until('the slot behind it is explained', async () => {
      const { stdout } = await a.cli('explain', 'e2e/web/1')
      assert.match(stdout, /^e2e\/web to release \w+: canary: its first slot is ready and waits for/)
      assert.match(stdout, /judged by p\d\n/)
      return /release: \w+ pending: waits for its wave: .*; \w+ on p\d is ready/.test(stdout)
    })
    const promoted = await a.cli('rollout', 'promote', 'e2e/web', '-w')
    assert.equal(promoted.code, 0, promoted.stderr)
    await phase(a, 'done', release)
  })

  it('pauses, and resumes', async () => {
    const release = await deploy(a, web('five', { update: manual }))
    await until('it waits', async () => /waits? for tutti rollout promote/.test((await rolloutOf(a)).reason))
    await a.change(say('pause'))
    await phase(a, 'paused', release)
    await a.change(say('resume'))
    await phase(a, 'canary', release)
    await a.change(say('promote'))
    await phase(a, 'done', release)
  })

  it('aborts, and the release before comes back', async () => {
    const { release: before } = await rolloutOf(a)
    const release = await deploy(a, web('six', { update: manual }))
    await until('it waits', async () => /waits? for tutti rollout promote/.test((await rolloutOf(a)).reason))
    await a.change(say('abort'))
    const back = await phase(a, 'done', before)
    await assert.rejects(() => a.change(say('abort')), /is done, and there is nothing to abort/)
    assert.equal(back.rejected[0]?.release, release)
    assert.equal(back.rejected[0]?.reason, 'an operator aborted it')
    await fleet.agree(peers)
    assert.deepEqual(await slotsAt(a, release), [])
  })

  it('deploys the next release while one is on its way, and the next one wins', async () => {
    await deploy(a, web('seven', { update: manual }))
    await until('it waits', async () => /waits? for tutti rollout promote/.test((await rolloutOf(a)).reason))
    const release = await deploy(a, web('eight'))
    await phase(a, 'done', release)
    await fleet.agree(peers)
    const { instances } = await a.instances()
    const versions = instances.filter((one) => one.service === 'web' && one.state === 'ready')
    assert.deepEqual([...new Set(versions.map((one) => one.release))], [release])
    assert.equal(await failedCalls(), 0)
  })
})

describe('hooks', () => {
  it('run once for a release, before its first slot, and a failing one stops it there', async () => {
    const file = join(fleet.directory, 'migrations')
    const write = (code: number) => ({
      command: ['sh', '-c', `echo "$TUTTI_RELEASE" >> ${file}; exit ${code}`],
      timeoutMs: 10_000,
    })
    const { release: good } = await rolloutOf(a)
    const release = await deploy(a, web('nine', { preDeploy: write(0) }))
    await phase(a, 'done', release)
    assert.equal(await readFile(file, 'utf8'), `${release}\n`)
    const bad = await deploy(a, web('ten', { preDeploy: write(3) }))
    const back = await phase(a, 'done', release)
    assert.equal(back.rejected.find((one) => one.release === bad)?.reason, 'pre_deploy exited with 3')
    assert.equal(await readFile(file, 'utf8'), `${release}\n${bad}\n`)
    assert.notEqual(good, release)
  })

  it('verify the first instance of a release, and one that it fails goes no further', async () => {
    const { release: good } = await rolloutOf(a)
    const verify = {
      command: [
        execPath,
        '-e',
        `fetch(process.env.TUTTI_VERIFY_URL).then((r) => r.text()).then((t) => process.exit(t.startsWith('right') ? 0 : 9))`,
      ],
      timeoutMs: 10_000,
    }
    const bad = await deploy(a, web('wrong', { verify }))
    const back = await phase(a, 'done', good)
    assert.match(back.rejected.find((one) => one.release === bad)?.reason ?? '', /^verify exited with 9/)
    const release = await deploy(a, web('right', { verify }))
    await phase(a, 'done', release)
    assert.equal(await failedCalls(), 0)
  })
})

describe('a walk over the fleet', () => {
  it('drains, runs the hook, waits for the peer and goes on, one machine at a time, and no call fails', async () => {
    const file = join(fleet.directory, 'rebooted')
    await writeFile(file, '')
    const named = async (): Promise<readonly string[]> =>
      (await readFile(file, 'utf8')).split('\n').filter((name) => name !== '')
    let rebooted = 0
    const walk = a.cli(
      'peers',
      'drain',
      '--all',
      '--yes',
      '--reboot-hook',
      `echo "$TUTTI_PEER_NAME" >> ${file}`,
    )
    const over = walk.then(() => true)
    for (;;) {
      const names = await named()
      const next = peers.find(({ name }) => name === names[rebooted])
      if (next !== undefined) {
        const { instances } = await (next === a ? (peers[1] ?? a) : a).instances()
        assert.deepEqual(
          instances.filter((one) => one.peer === next.name && one.state === 'ready'),
          [],
        )
        await next.end('SIGKILL')
        await next.up()
        rebooted += 1
      } else if (await Promise.race([over, sleepUntilNextLook().then(() => false)])) break
    }
    const { code, stdout, stderr } = await walk
    assert.equal(code, 0, `${stdout}\n${stderr}`)
    assert.deepEqual(await named(), ['p1', 'p2', 'p0'])
    const seen = await a.peers()
    assert.deepEqual(
      seen.peers.map(({ cordoned, draining }) => cordoned || draining),
      [false, false, false],
    )
    await ready(a, 'web', 4)
  })

  it('stops at a hook that fails, with the way to go on', async () => {
    const { code, stderr } = await a.cli('peers', 'drain', '--all', '--yes', '--reboot-hook', 'exit 5')
    assert.equal(code, 1)
    assert.match(
      stderr,
      /stopped at p1: the hook exited with 5; p1 stays drained; mend it and go on with .*--from p1/,
    )
    await a.cli('peers', 'uncordon', 'p1')
    await fleet.agree(peers)
  })
})
