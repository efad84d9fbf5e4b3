// Edits: from any peer, by any command, in the shapes that scripts rely on; the same answers from everybody; and bad input
// that is refused in one sentence while the document stays what it was.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExplainReply } from '../../node/serve/api/contract.ts'
import { applyOf, Fleet, idle, type Peer, ready, service, until } from './support/fleet.ts'

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

/** Writes a cell file and returns its path. */
const cellFile = async (name: string, text: string): Promise<string> => {
  const path = join(fleet.directory, name)
  await writeFile(path, text)
  return path
}

const json = async <T>(peer: Peer, ...args: readonly string[]): Promise<T> => {
  const { code, stdout, stderr } = await peer.cli(...args, '--json')
  assert.ok(code === 0 || code === 10, `${args.join(' ')}: ${code} ${stderr}`)
  return JSON.parse(stdout) as T
}

const keysOf = (value: unknown): readonly string[] => Object.keys(value as object)

/** Fails where a promised key is missing. */
const assertHas = (value: unknown, keys: readonly string[]): void => {
  for (const key of keys) assert.ok(keysOf(value).includes(key), `no '${key}' in ${keysOf(value).join(' ')}`)
}

describe('edits', () => {
  it('at every peer in turn reach all (S1, L1)', async () => {
    for (const [at, peer] of peers.entries()) {
      await peer.change({ kind: 'apply', cell: { name: `turn${at}`, services: [idle('one')] } })
    }
    await fleet.agree(peers)
    for (const peer of peers) {
      const { cells } = await peer.status()
      assert.deepEqual(
        cells.map(({ name }) => name).filter((name) => name.startsWith('turn')),
        ['turn0', 'turn1', 'turn2'],
      )
    }
    await b.change(...[0, 1, 2].map((at) => ({ kind: 'remove-cell' as const, cell: `turn${at}` })))
    await until('the cells are gone', async () => (await a.status()).cells.length === 0)
    await fleet.agree(peers)
  })

  it('at all peers at once reach all (S1)', async () => {
    await Promise.all(
      peers.flatMap((peer, at) =>
        Array.from({ length: 5 }, (_, turn) =>
          peer.change({
            kind: 'apply',
            cell: { name: `c${at}-${turn}`, services: [idle('x', { replicas: 0 })] },
          }),
        ),
      ),
    )
    await fleet.agree(peers)
    assert.equal((await b.status()).cells.length, 15)
    const cells = (await b.status()).cells.map(({ name }) => ({ kind: 'remove-cell' as const, cell: name }))
    await a.change(...cells)
    await fleet.agree(peers)
  })

  it('by the command line have the contract’s shapes: plan, apply, ps, status, peers, scale, stop, start, restart, rm', async () => {
    const file = await cellFile(
      'shop.yaml',
      'name: shop\nservices:\n  web:\n    command: [sleep, "100000"]\n    stop_grace_period: 1s\n    deploy: { replicas: 2 }\n',
    )
    const planned = await a.cli('plan', '-f', file, '--json')
    assert.equal(planned.code, 10, planned.stderr)
    assertHas(JSON.parse(planned.stdout), ['edits', 'slots', 'warnings'])
    const applied = await json<{ converged: boolean; accepted: string }>(
      b,
      'apply',
      '-f',
      file,
      '--yes',
      '--wait',
    )
    assertHas(applied, ['change', 'digest', 'accepted', 'converged', 'durationMs', 'services'])
    assert.equal(applied.converged, true)
    assert.equal((await a.cli('plan', '-f', file)).code, 0)

    const { instances } = await json<{ instances: readonly unknown[] }>(a, 'ps', 'shop/web')
    assert.equal(instances.length, 2)
    const instanceKeys = 'slot cell service index peer release state pid ports since restarts reason'.split(
      ' ',
    )
    for (const instance of instances) assertHas(instance, instanceKeys)
    const status = await json<{ cells: readonly { services: readonly unknown[] }[] }>(a, 'status')
    assertHas(status, ['digest', 'settled', 'cells'])
    const serviceKeys = 'name desired ready release releasing unfulfilled conflicts'.split(' ')
    assertHas(status.cells[0]?.services[0], serviceKeys)
    const known = await json<{ peers: readonly unknown[] }>(a, 'peers')
    const peerKeys =
      'name id state self labels capacity addresses version instances digest ageMs cordoned draining'.split(
        ' ',
      )
    for (const peer of known.peers) assertHas(peer, peerKeys)

    await json(b, 'scale', 'shop/web=3', '--wait')
    const pids = (await ready(a, 'web', 3)).map(({ pid }) => pid)
    await json(a, 'restart', 'shop/web', '--wait')
    const fresh = (await ready(b, 'web', 3)).map(({ pid }) => pid)
    assert.ok(fresh.every((pid) => !pids.includes(pid)))
    await json(a, 'stop', 'shop/web', '--wait')
    await ready(b, 'web', 0)
    await json(b, 'start', 'shop/web', '--wait')
    await ready(a, 'web', 3)
    assert.equal((await b.cli('rm', 'shop/web', '--yes')).code, 0)
    await ready(a, 'web', 0)
    await fleet.agree(peers)
  })

  it('are explained alike by every peer (S5)', async () => {
    await a.change(applyOf(idle('why', { replicas: 3 })))
    await ready(b, 'why', 3)
    await fleet.agree(peers)
    const explained = await Promise.all(
      peers.map((peer) => peer.get<ExplainReply>('/v1/placements?of=e2e/why')),
    )
    assert.equal(explained[0]?.slots.length, 3)
    for (const { slots } of explained) assert.deepEqual(slots, explained[0]?.slots)
    const shape = await json<unknown>(b, 'explain', 'e2e/why/0')
    assertHas(shape, ['slot', 'peer', 'version', 'candidates'])
    for (const peer of peers) assert.equal((await peer.status()).settled, true)
    await a.change({ kind: 'remove', service: 'e2e/why' })
  })

  it('show in logs that are merged over the peers', async () => {
    const talk = service('talk', ['sh', '-c', 'echo "slot $TUTTI_SLOT on $TUTTI_PEER"; exec sleep 100000'], {
      replicas: 3,
      replicasPerNodeMax: 1,
    })
    await a.change(applyOf(talk))
    await ready(b, 'talk', 3)
    const lines = await until('three lines', async () => {
      const { stdout, code } = await b.cli('logs', 'e2e/talk')
      const found = stdout.split('\n').filter((line) => line.includes('slot '))
      return code === 0 && found.length === 3 && found
    })
    for (const name of ['p0', 'p1', 'p2']) {
      assert.ok(
        lines.some((line) => line.includes(`on ${name}`)),
        lines.join('\n'),
      )
    }
    await a.change({ kind: 'remove', service: 'e2e/talk' })
  })
})

describe('bad input', () => {
  let good: string
  before(async () => {
    await a.change({ kind: 'remove-cell', cell: 'e2e' }).catch(() => undefined)
    good = await cellFile('good.yaml', 'name: e2e\nservices:\n  one: { command: [sleep, "9999"] }\n')
    assert.equal((await a.cli('apply', '-f', good, '--yes', '--wait')).code, 0)
    await fleet.agree(peers)
  })

  const body = (line: string): string =>
    `name: e2e\nservices:\n  one:\n    command: [sleep, "1"]\n    ${line}\n`
  const cases: readonly (readonly [string, string, number, RegExp])[] = [
    ['malformed YAML, with its place', 'name: e2e\nservices:\n  one: {command: [a]]\n', 3, /:\d+:\d+/],
    ['an unknown key, with a suggestion', body('helthcheck: {}'), 3, /:5:5.*did you mean healthcheck/],
    ['a port out of range', body('ports: ["http: 70000"]'), 3, /65535|port/],
    ['a missing command', 'name: e2e\nservices:\n  one:\n    environment: { A: b }\n', 3, /command/],
    ['a package directory that is not there', body('package: ./nowhere'), 3, /nowhere/],
    [
      'a quorum service whose runs may overlap',
      body('on_partition: quorum\n    deploy: { update_config: { order: start-first } }'),
      3,
      /quorum/,
    ],
    ['a file that is too large', `name: e2e\n# ${'x'.repeat(1_100_000)}\n`, 3, /large|MiB|bytes/],
    ['a dependency that does not exist', body('depends_on: [two]'), 3, /two/],
  ]
  for (const [what, text, code, pattern] of cases) {
    it(`refuses ${what}, in one sentence and with no effect`, async () => {
      const file = await cellFile('bad.yaml', text)
      const digest = await a.digest()
      const instances = (await a.instances()).instances.map(({ slot, pid, state }) => ({ slot, pid, state }))
      const refused = await a.cli('apply', '-f', file, '--yes')
      assert.equal(refused.code, code, refused.stderr)
      assert.match(refused.stderr, pattern)
      assert.equal(refused.stderr.trim().split('\n').length, 1, refused.stderr)
      assert.doesNotMatch(refused.stderr, /\.ts:\d+|bug in tutti/)
      assert.equal(await a.digest(), digest)
      assert.deepEqual(
        (await a.instances()).instances.map(({ slot, pid, state }) => ({ slot, pid, state })),
        instances,
      )
    })
  }

  it('refuses a file that is not there (usage)', async () => {
    const { code, stderr } = await a.cli('apply', '-f', join(fleet.directory, 'none.yaml'), '--yes')
    assert.equal(code, 2)
    assert.match(stderr, /none\.yaml/)
  })

  it('refuses what names nothing, and says what there is', async () => {
    const digest = await a.digest()
    const { code, stderr } = await a.cli('scale', 'e2e/oen=3')
    assert.equal(code, 3)
    assert.match(stderr, /oen/)
    assert.equal(await a.digest(), digest)
  })

  it('warns of a constraint that nobody meets, and says so as long as it lasts (L2)', async () => {
    await mkdir(join(fleet.directory, 'd'), { recursive: true })
    const file = await cellFile(
      'nowhere.yaml',
      body('deploy: { placement: { constraints: ["node.labels.zone == mars"] } }').replace(
        '  one:',
        '  far:',
      ),
    )
    const applied = await a.cli('apply', '-f', file, '--yes', '--no-wait')
    assert.equal(applied.code, 0, applied.stderr)
    assert.match(applied.stderr, /mars/)
    const unfulfilled = await until('unfulfilled with a reason', async () => {
      const { cells } = await b.status()
      const far = cells.flatMap(({ services }) => services).find(({ name }) => name === 'far')
      return far !== undefined && far.unfulfilled.length === 1 && far.unfulfilled
    })
    assert.match(unfulfilled[0]?.reason ?? '', /mars/)
  })
})
