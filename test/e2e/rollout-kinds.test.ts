// Rollouts of other kinds, with real peers: a set that is switched as a whole, a global service, one that runs to its end and others wait
// for, a verification over HTTP, and what `tutti apply` says of a release that was taken back.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { after, before, describe, it } from 'node:test'
import type { RolloutsReply } from '../../node/serve/api/contract.ts'
import type { RolloutReply } from '../../node/serve/api/contract-rollout.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { applyOf, Fleet, idle, ready, service, until, type Instance, type Peer } from './support/fleet.ts'
import { linkCaller, webServer } from './support/programs.ts'

let fleet: Fleet
let peers: readonly Peer[]
let a: Peer
before(async () => {
  fleet = await Fleet.create()
  peers = await fleet.grow(3)
  const [first] = peers
  assert.ok(first !== undefined)
  a = first
})
after(() => fleet.close())

const CHECK = {
  kind: 'http',
  path: '/healthz',
  intervalMs: 200,
  timeoutMs: 1000,
  retries: 3,
  startPeriodMs: 10_000,
} as const
const checked = { ports: { http: 0 }, healthcheck: CHECK, stopGraceMs: 5000 }

const rolloutOf = async (name: string): Promise<RolloutReply> => {
  const { rollouts } = await a.get<RolloutsReply>(`/v1/rollouts?service=e2e/${name}`)
  const [rollout] = rollouts
  assert.ok(rollout !== undefined)
  return rollout
}

const done = (name: string, release?: string): Promise<RolloutReply> =>
  until(
    `the rollout of ${name} is done`,
    async () => {
      const rollout = await rolloutOf(name)
      if (rollout.phase === 'done' && (release ?? rollout.release) === rollout.release) return rollout
      throw new Error(`${rollout.release} is ${rollout.phase}: ${rollout.reason}`)
    },
    60_000,
  )

const instancesOf = async (name: string): Promise<readonly Instance[]> =>
  (await a.instances()).instances.filter((one) => one.service === name)

describe('parallelism: all with a manual promotion', () => {
  const web = (version: string): ServiceSpec =>
    service('web', webServer(version), {
      ...checked,
      replicas: 3,
      update: { order: 'start-first', parallelism: 0, promote: 'manual' },
    })
  const caller = service('caller', linkCaller('web'), { ...checked, uses: ['e2e/web'] })
  let url = ''
  const counts = async () =>
    (await (await fetch(url)).json()) as { ok: number; failed: number; seen: Record<string, number> }

  it('holds the switch until an operator says so, and loses no call in it', async () => {
    await a.change(applyOf(web('blue'), caller))
    await ready(a, 'web', 3)
    const [instance] = await ready(a, 'caller', 1)
    url = `http://127.0.0.1:${Object.values(instance?.ports ?? {})[0]}/`
    await done('web')
    await fleet.agree(peers)
    await (await fetch(`${url}go`)).text()
    await a.change(applyOf(web('green'), caller))
    await until('all wait', async () =>
      /waits? for tutti rollout promote/.test((await rolloutOf('web')).reason),
    )
    // The steward says so, and what the others' instances say may be heard here a moment later.
    await ready(a, 'web', 6)
    const { ok } = await counts()
    const still = await until('a hundred calls more', async () => {
      const seen = await counts()
      return seen.ok >= ok + 100 && seen
    })
    assert.equal(still.seen['green'] ?? 0, 0)
    await a.change({ kind: 'rollout', service: 'e2e/web', order: 'promote' })
    await done('web')
    await fleet.agree(peers)
    const now = await counts()
    const later = await until('a hundred calls more', async () => {
      const seen = await counts()
      return seen.ok >= now.ok + 100 && seen
    })
    assert.equal(later.seen['blue'], now.seen['blue'])
    assert.equal(later.failed, 0)
    assert.equal((await instancesOf('web')).filter(({ state }) => state === 'ready').length, 3)
  })
})

describe('a global service', () => {
  it('has canaries too, and its failed release goes no further', async () => {
    const agent = (command: readonly string[]): ServiceSpec =>
      service('agent', command, {
        mode: 'global',
        update: { order: 'stop-first', parallelism: 1, canary: 1, monitorMs: 300 },
      })
    await a.change(applyOf(agent(['sleep', '100000'])))
    await ready(a, 'agent', 3)
    const { release: good } = await done('agent')
    const { releases } = await a.change(applyOf(agent(['sh', '-c', 'sleep 0.2; exit 4'])))
    const back = await done('agent', good)
    assert.equal(back.rejected[0]?.release, releases?.['e2e/agent'])
    assert.match(back.rejected[0]?.reason ?? '', /^e2e\/agent\/p0 on p0 /)
    await ready(a, 'agent', 3)
  })
})

describe('depends_on completed', () => {
  it('waits for a service that runs to its end, which stays completed and is not run again', async () => {
    const setup = service('setup', ['sh', '-c', 'sleep 0.5; echo migrated'], {
      restart: {
        condition: 'on-failure',
        delayMs: 500,
        delayMaxMs: 500,
        attemptsMax: null,
        windowMs: 10_000,
      },
    })
    const app = idle('app', { dependsOn: { setup: 'completed' } })
    await a.change(applyOf(setup, app))
    await ready(a, 'app', 1)
    const [ran] = await instancesOf('setup')
    assert.deepEqual([ran?.state, ran?.reason.startsWith('completed')], ['stopped', true])
    await fleet.agree(peers)
    const { code, stdout } = await a.cli('peers', 'drain', ran?.peer ?? '')
    assert.equal(code, 0, stdout)
    await fleet.agree(peers)
    const [still, ...more] = await instancesOf('setup')
    assert.deepEqual([still?.state, still?.restarts, more.length], ['stopped', 0, 0])
    await a.cli('peers', 'uncordon', ran?.peer ?? '')
    await fleet.agree(peers)
  })
})

describe('verify over HTTP', () => {
  it('lets through what answers, and takes back what does not', async () => {
    const site = (status: number): ServiceSpec =>
      service(
        'site',
        [
          execPath,
          '-e',
          `require('node:http').createServer((q, r) => { if (q.url === '/buy') r.statusCode = ${status}; r.end() }).listen(Number(process.env.PORT), '0.0.0.0')`,
        ],
        { ...checked, verify: { http: '/buy', timeoutMs: 1500 }, replicas: 2 },
      )
    await a.change(applyOf(site(200)))
    const { release } = await done('site')
    await a.change(applyOf(site(500)))
    const back = await done('site', release)
    assert.match(back.rejected[0]?.reason ?? '', /^verify of http:\/\/.*\/buy failed: status 500/)
  })
})

describe('tutti apply', () => {
  it('follows the rollout, and exits with 1 and the reason when the release was taken back', async () => {
    const file = join(fleet.directory, 'cell.yaml')
    const write = (command: string): Promise<void> =>
      writeFile(
        file,
        `name: shop
services:
  api:
    command: ${command}
    deploy: { replicas: 2, update_config: { canary: 1, monitor: 500ms } }
`,
      )
    await write('sleep 100000')
    assert.equal((await a.cli('apply', '-f', file, '--yes')).code, 0)
    await write('sh -c "sleep 0.1; exit 6"')
    const failed = await a.cli('apply', '-f', file, '--yes')
    assert.equal(failed.code, 1, failed.stdout)
    assert.match(failed.stderr, /rollout of shop\/api to \w+ failed: shop\/api\/0 on p\d .*; back to \w+/)
    const again = await a.cli('apply', '-f', file, '--yes')
    assert.equal(again.code, 3)
    assert.match(
      again.stderr,
      /was rejected .*change something, or try it again with tutti rollout retry shop\/api/,
    )
  })
})
