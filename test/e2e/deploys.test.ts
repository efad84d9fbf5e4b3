// Change without a gap: a caller behind a service link sees no failure while releases, peers and numbers change (S8);
// and what goes wrong in a deploy is said, with the reason, and keeps the old release serving.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { applyOf, fingerprint, Fleet, idle, type Peer, ready, service, until } from './support/fleet.ts'
import { isRunning, strays } from './support/leftovers.ts'
import { linkCaller, webServer } from './support/programs.ts'

let fleet: Fleet
let peers: readonly Peer[]
let a: Peer
let b: Peer
before(async () => {
  fleet = await Fleet.create()
  peers = await fleet.grow(3)
  const [first, second] = peers
  assert.ok(first !== undefined && second !== undefined)
  a = first
  b = second
})
after(() => fleet.close())

const web = (version: string, over: Partial<ServiceSpec> = {}): ServiceSpec =>
  service('web', webServer(version), {
    ports: { http: 0 },
    healthcheck: {
      kind: 'http',
      path: '/healthz',
      intervalMs: 200,
      timeoutMs: 1000,
      retries: 3,
      startPeriodMs: 10_000,
    },
    replicas: 3,
    stopGraceMs: 5000,
    ...over,
  })

const caller = service('caller', linkCaller('web'), {
  ports: { http: 0 },
  uses: ['e2e/web'],
  healthcheck: {
    kind: 'http',
    path: '/',
    intervalMs: 500,
    timeoutMs: 1000,
    retries: 5,
    startPeriodMs: 10_000,
  },
})

interface Counts {
  readonly ok: number
  readonly failed: number
  readonly last: string
  readonly seen: Readonly<Record<string, number>>
}

describe('a caller behind a link', () => {
  let url: string
  const counts = async (): Promise<Counts> => (await (await fetch(url)).json()) as Counts
  /** Waits for a hundred further calls, and fails when any call ever failed. */
  const callsOn = async (): Promise<Counts> => {
    const { ok } = await counts()
    const now = await until('a hundred calls more', async () => {
      const seen = await counts()
      return seen.ok + seen.failed >= ok + 100 && seen
    })
    assert.equal(
      now.failed,
      0,
      `${now.failed} of ${now.ok + now.failed} calls failed, the last with ${now.last}`,
    )
    return now
  }

  before(async () => {
    await a.change(applyOf(web('one'), caller))
    await ready(a, 'web', 3)
    const [instance] = await ready(a, 'caller', 1)
    const port = Object.values(instance?.ports ?? {})[0]
    url = `http://127.0.0.1:${port}/`
    await fleet.agree(peers)
    await (await fetch(`${url}go`)).text()
    await callsOn()
  })

  it('sees no failure while the release changes (S8)', async () => {
    await a.change(applyOf(web('two'), caller))
    await fleet.agree(peers, 60_000)
    const { seen } = await callsOn()
    assert.ok((seen['one'] ?? 0) > 0 && (seen['two'] ?? 0) > 0)
    const { instances } = await b.instances()
    const releases = instances.filter(({ service: name, state }) => name === 'web' && state === 'ready')
    assert.equal(new Set(releases.map(({ release }) => release)).size, 1)
    assert.equal(releases.length, 3)
  })

  it('sees no failure while the service grows and shrinks (S8)', async () => {
    await a.change({ kind: 'scale', service: 'e2e/web', replicas: 6 })
    await ready(b, 'web', 6)
    await fleet.agree(peers)
    await callsOn()
    await b.change({ kind: 'scale', service: 'e2e/web', replicas: 2 })
    await ready(a, 'web', 2)
    await fleet.agree(peers)
    await callsOn()
  })

  it('sees no failure while a peer is drained, which ends empty and takes nothing until it is uncordoned (S8)', async () => {
    await a.change({ kind: 'scale', service: 'e2e/web', replicas: 4 })
    await ready(a, 'web', 4)
    const [at] = await ready(a, 'caller', 1)
    const other = peers.find(({ name }) => name !== at?.peer)
    assert.ok(other !== undefined)
    const drained = await a.cli('peers', 'drain', other.name)
    assert.equal(drained.code, 0, drained.stderr)
    await fleet.agree(peers)
    const where = await ready(b, 'web', 4)
    assert.ok(where.every(({ peer }) => peer !== other.name))
    await callsOn()
    assert.equal((await b.cli('peers', 'uncordon', other.name)).code, 0)
    await fleet.agree(peers)
    await callsOn()
  })

  it('sees no failure while the service is restarted, and while a cordoned peer keeps what it has (S8)', async () => {
    const [at] = await ready(a, 'caller', 1)
    const held = async (): Promise<number> =>
      (await ready(a, 'web', 4)).filter(({ peer }) => peer === at?.peer).length
    await fleet.agree(peers)
    const before = await held()
    await a.change({ kind: 'cordon', peer: at?.peer ?? '' })
    await fleet.agree(peers)
    assert.equal(await held(), before)
    await a.change({ kind: 'uncordon', peer: at?.peer ?? '' })
    await a.change({ kind: 'restart', service: 'e2e/web' })
    await fleet.agree(peers, 60_000)
    await callsOn()
    await a.change({ kind: 'remove-cell', cell: 'e2e' })
    await until('the cell is empty', async () =>
      (await b.instances()).instances.every(({ state }) => state === 'stopped'),
    )
  })
})

describe('a deploy that goes wrong', () => {
  const apply = async (text: string, ...more: readonly string[]) => {
    const file = join(fleet.directory, 'cell.yaml')
    await writeFile(file, text)
    return await a.cli('apply', '-f', file, '--yes', ...more)
  }
  const cell = (ready: string, command: string): string =>
    [
      'name: bad',
      'services:',
      '  api:',
      `    command: [sh, -c, "${command}"]`,
      `    environment: { READY: "${ready}" }`,
      '    stop_grace_period: 1s',
      '    deploy: { replicas: 2 }',
      '    healthcheck:',
      '      { test: [CMD, sh, -c, "test $$READY = yes"], interval: 200ms, retries: 2, start_period: 500ms }',
      '',
    ].join('\n')

  it('keeps the old release serving, says why with the last lines, and exits non-zero (S8, L5)', async () => {
    const good = await apply(cell('yes', 'exec sleep 100000'))
    assert.equal(good.code, 0, good.stderr)
    const before = fingerprint(await ready(a, 'api', 2))
    const bad = await apply(cell('no', 'echo cannot find the database; exec sleep 100000'), '--timeout', '8s')
    assert.ok(bad.code === 1 || bad.code === 4, `${bad.code}`)
    assert.match(bad.stderr, /bad\/api\/\d is /)
    assert.match(bad.stderr, /cannot find the database/)
    assert.deepEqual(fingerprint(await ready(b, 'api', 2)), before)
  })

  it('of a program that crashes says its exit status and its last lines, and backs off (L6)', async () => {
    await a.change({ kind: 'remove-cell', cell: 'bad' })
    const crash = await apply(
      'name: crash\nservices:\n  job:\n    command: [sh, -c, "echo out of luck >&2; exit 7"]\n    ports: [http]\n    deploy: { restart_policy: { delay: 100ms, max_delay: 500ms } }\n',
      '--timeout',
      '10s',
    )
    assert.ok(crash.code === 1 || crash.code === 4, `${crash.code}`)
    assert.match(crash.stderr, /out of luck/)
    assert.match(crash.stderr, /\b7\b/)
    const shown = await until('unfulfilled with the exit status', async () => {
      const { cells } = await b.status()
      const [job] = cells.find(({ name }) => name === 'crash')?.services ?? []
      return job !== undefined && job.unfulfilled.length === 1 && job.unfulfilled
    })
    assert.match(shown[0]?.reason ?? '', /\b7\b/)
    await a.change({ kind: 'remove-cell', cell: 'crash' })
    await fleet.agree(peers)
  })
})

describe('services', () => {
  it('in global mode run once on every peer, also on one that joins', async () => {
    await a.change(applyOf(idle('every', { mode: 'global', replicas: null, stopGraceMs: 500 })))
    await ready(b, 'every', 3)
    const { ticket } = await a.invite()
    const late = fleet.peer({ name: 'late' })
    await late.up(['--join', ticket])
    const all = await ready(a, 'every', 4)
    assert.deepEqual(all.map(({ peer }) => peer).toSorted(), ['late', 'p0', 'p1', 'p2'])
    await a.change({ kind: 'remove', service: 'e2e/every' })
    await ready(late, 'every', 0)
  })

  it('start after what they depend on is healthy', async () => {
    const first = service('first', ['sh', '-c', 'sleep 1; touch ready; exec sleep 100000'], {
      healthcheck: {
        kind: 'command',
        command: ['test', '-e', 'ready'],
        intervalMs: 200,
        timeoutMs: 1000,
        retries: 3,
        startPeriodMs: 10_000,
      },
    })
    await a.change(applyOf(first, idle('second', { dependsOn: { first: 'healthy' } })))
    const [second] = await ready(b, 'second', 1)
    const [one] = await ready(b, 'first', 1)
    assert.ok((second?.since ?? 0) >= (one?.since ?? Infinity), 'it was ready before what it depends on')
    await a.change({ kind: 'remove-cell', cell: 'e2e' })
    await ready(b, 'first', 0)
  })

  it('end with their whole group, and with what left it by setsid (S10)', async () => {
    const nest = [
      'sh',
      '-c',
      'setsid sh -c "sleep 100001 & wait" & sleep 100001 & sh -c "sleep 100001" & wait',
    ]
    await a.change(applyOf(service('nest', nest, { stopGraceMs: 500 })))
    const [instance] = await ready(a, 'nest', 1)
    const family = await until('the family is there', async () => {
      const found = await pidsOf('sleep\x00100001')
      return found.length >= 3 && found
    })
    assert.ok(instance?.pid !== null)
    await a.change({ kind: 'remove', service: 'e2e/nest' })
    await until('all are gone', () => family.every((pid) => !isRunning(pid)))
    assert.deepEqual(await pidsOf('sleep\x00100001'), [])
  })
})

/** Processes of this fleet by their arguments. */
const pidsOf = async (words: string): Promise<readonly number[]> => {
  const texts = await Promise.all(
    strays(fleet.directory).map(async (pid) => ({
      pid,
      text: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    })),
  )
  return texts.filter(({ text }) => text.includes(words) && text.startsWith('sleep')).map(({ pid }) => pid)
}
