// What was, as operators ask for it: three real peers on hosts of their own, a cut between them, edits on both sides, and
// going back from the peer that made none of them.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import type { ConflictsReply } from '../../node/serve/api/contract.ts'
import type { DiffReply, HistoryReply, IntentReply } from '../../node/serve/api/contract-history.ts'
import type { RebalanceReply, SimulationReply } from '../../node/serve/api/contract-simulate.ts'
import { applyOf, Fleet, idle, type Peer, ready } from './support/fleet.ts'
import { Netbed, netbedMissing, onHost } from './support/netbed.ts'

const missing = await netbedMissing()
if (missing !== null) process.stderr.write(`SKIPPED: history over a cut is not tested: ${missing}\n`)

const HOSTS = 3
/** Cuts last seconds; nothing is to move meanwhile. */
const STAYS = { rescheduleAfterMs: 600_000, stopGraceMs: 500 }
// The file leaves the replicas to tutti scale.
const web = (version: string) => idle('web', { ...STAYS, replicas: null, environment: { VERSION: version } })

/** Runs a command that must succeed, and reads its JSON. */
const json = async <T>(peer: Peer, ...words: readonly string[]): Promise<T> => {
  const { code, stdout, stderr } = await peer.cli(...words, '--json')
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as T
}

describe('history', { skip: missing ?? false }, () => {
  let bed: Netbed
  let fleet: Fleet
  let peers: readonly Peer[]
  const at = (index: number): Peer => {
    const peer = peers[index]
    assert.ok(peer !== undefined)
    return peer
  }
  const history = (peer: Peer): Promise<HistoryReply> => peer.get('/v1/changes?of=e2e')
  const releaseOf = async (peer: Peer): Promise<string | undefined> =>
    (await peer.status()).cells[0]?.services.find(({ name }) => name === 'web')?.release

  before(async () => {
    bed = await Netbed.create(HOSTS)
    fleet = await Fleet.create()
    peers = await fleet.grow(HOSTS, (index) => onHost(bed, index))
  })
  after(async () => {
    await fleet.close()
    await bed.close()
  })
  afterEach(async (context) => {
    if ('passed' in context && !context.passed) process.stderr.write(`${fleet.story()}\n`)
    await bed.heal()
    await fleet.agree(peers, 45_000)
  })

  it('is the same on every peer, with who, when and why, and shows any moment of it', async () => {
    await at(0).change(applyOf(web('1')))
    await fleet.agree(peers)
    await at(1).change(applyOf(web('2')))
    await fleet.agree(peers)
    assert.equal((await at(2).cli('scale', 'e2e/web=2', '-m', 'more of it')).code, 0)
    await fleet.agree(peers)
    const [first, ...others] = await Promise.all(peers.map(history))
    for (const other of others) assert.deepEqual(other.changes, first?.changes)
    assert.deepEqual(
      first?.changes.map(({ author, message }) => [author, message]),
      [
        ['p2', 'more of it'],
        ['p1', 'apply e2e'],
        ['p0', 'apply e2e'],
      ],
    )
    const created = first.changes[2]?.change.slice(0, 8) ?? ''
    const diff = await json<DiffReply>(at(2), 'diff', created)
    assert.deepEqual(diff.edits, [
      { path: 'e2e/web replicas', from: '1', to: '2' },
      { path: 'e2e/web environment.VERSION', from: '1', to: '2' },
    ])
    const was = await json<IntentReply>(at(1), 'status', '--at', created, 'e2e/web')
    assert.deepEqual(
      was.cells[0]?.services.map(({ replicas, fields }) => [replicas, fields['environment.VERSION']]),
      [[1, '1']],
    )
  })

  it('shows a conflict of both sides of a cut to all, and a third peer settles it (S1, S2)', async () => {
    await bed.split([3])
    await Promise.all([
      at(0).cli('scale', 'e2e/web=3', '-m', 'on this side'),
      at(2).cli('scale', 'e2e/web=4', '-m', 'on that side'),
    ])
    await bed.heal()
    await fleet.agree(peers)
    const shown = await Promise.all(peers.map((peer) => peer.get<ConflictsReply>('/v1/conflicts')))
    const [conflict, ...more] = shown[0]?.conflicts ?? []
    assert.ok(conflict !== undefined && more.length === 0)
    for (const { conflicts } of shown) assert.deepEqual(conflicts, [conflict])
    assert.deepEqual(new Set([conflict.author, conflict.winnerAuthor]), new Set(['p0', 'p2']))
    const lists = await Promise.all(peers.map(history))
    for (const { changes } of lists) assert.deepEqual(changes, lists[0]?.changes)
    const took = await at(1).cli('resolve', 'e2e/web', 'replicas', '--take', conflict.change.slice(0, 8))
    assert.equal(took.code, 0, took.stderr)
    await fleet.agree(peers)
    assert.deepEqual((await at(2).get<ConflictsReply>('/v1/conflicts')).conflicts, [])
    await ready(at(2), 'web', Number(conflict.value))
  })

  it('is gone back in from a peer that made none of it: the former release runs again, and a removed service lives again', async () => {
    await at(0).change({ kind: 'scale', service: 'e2e/web', replicas: 2 })
    const former = await releaseOf(at(0))
    await at(0).change(applyOf(web('bad')))
    await fleet.agree(peers)
    assert.notEqual(await releaseOf(at(2)), former)
    const back = await at(2).cli('rollback', 'e2e/web', '--yes', '-m', 'it was bad')
    assert.equal(back.code, 0, back.stderr)
    assert.match(back.stdout, /~ environment\.VERSION: bad → 2/)
    await fleet.agree(peers)
    for (const peer of peers) assert.equal(await releaseOf(peer), former)
    assert.ok((await ready(at(1), 'web', 2)).every(({ release }) => release === former))
    assert.equal((await history(at(1))).changes[0]?.message, 'it was bad')
    await at(0).change({ kind: 'remove', service: 'e2e/web' })
    await fleet.agree(peers)
    const again = await at(1).cli('rollback', 'e2e/web', 'now~1', '--yes')
    assert.equal(again.code, 0, again.stderr)
    await ready(at(2), 'web', 2)
    assert.equal(await releaseOf(at(2)), former)
  })

  it('lets one of two through who act on the same state, and the other look again', async () => {
    const digest = (await at(0).digest()).slice(0, 12)
    const outcomes = await Promise.all(
      ['3', '4', '5'].map((count) => at(0).cli('scale', `e2e/web=${count}`, '--if-digest', digest)),
    )
    assert.deepEqual(
      outcomes.map(({ code }) => code).toSorted((a, b) => Number(a) - Number(b)),
      [0, 3, 3],
    )
    const refused = outcomes.find(({ code }) => code === 3)
    assert.match(refused?.stderr ?? '', /no longer the one with digest [0-9a-f]{12}; look at it again/)
  })

  it('has a future that is asked for without an edit', async () => {
    const digest = await at(0).digest()
    const lost = await json<SimulationReply>(at(1), 'simulate', '--kill', 'p2')
    assert.ok(lost.slots.every(({ from }) => from === 'p2'))
    assert.equal(lost.survivable, true)
    const { away, gone } = await json<RebalanceReply>(at(2), 'rebalance', '--dry-run')
    assert.deepEqual([away, gone], [[], []])
    assert.equal(await at(0).digest(), digest)
  })

  it('names those who were removed since', async () => {
    await at(2).change({ kind: 'scale', service: 'e2e/web', replicas: 1 })
    await fleet.agree(peers)
    await at(0).change({ kind: 'remove-peer', peer: 'p2' })
    const [first] = (await history(at(0))).changes
    assert.deepEqual([first?.author, first?.edits[0]?.to], ['p2', '1'])
    peers = peers.slice(0, 2)
    const back = await at(1).cli('rollback', 'e2e/web', first?.change.slice(0, 8) ?? '', '--yes', '--no-wait')
    assert.equal(back.code, 0, back.stderr)
  })
})
