// When a change counts as in force, and when as failed for good.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Convergence, FINAL_MS, QUIET_MS } from '../../cli/convergence.ts'
import type { WatchReply } from '../../node/serve/api/contract-streams.ts'

type Slot = WatchReply['slots'][number]

const slot = (name: string, changes: Partial<Slot> = {}): Slot => ({
  slot: name,
  peer: 'a',
  state: 'ready',
  release: 'r1',
  desired: true,
  reason: '',
  ...changes,
})

const watch = (slots: readonly Slot[], changes: Partial<WatchReply> = {}): WatchReply => ({
  digest: 'd',
  settled: true,
  peers: [{ name: 'a', state: 'alive', digest: 'd', settled: true }],
  slots: [...slots],
  ...changes,
})

const shop = (name: string): boolean => name.startsWith('shop/')
const judge = (value: WatchReply, nowMs = 0) => new Convergence(shop).judge(value, nowMs)

describe('Convergence', () => {
  it('is reached when every slot is ready and every living peer settled on the digest', () => {
    const verdict = judge(watch([slot('shop/web/0'), slot('shop/web/1')]))
    assert.equal(verdict.kind, 'converged')
    assert.deepEqual(verdict.services, [{ service: 'shop/web', ready: 2, desired: 2, leaving: 0, rest: '' }])
  })

  it('is held by a majority when more than half of all members live and report the digest', () => {
    const peer = (name: string, state: 'alive' | 'dead' | 'left', digest: string) => ({
      name,
      state,
      digest,
      settled: true,
    })
    const of = (...peers: readonly ReturnType<typeof peer>[]) =>
      judge(watch([], { peers: [...peers] })).isHeldByMajority
    const a = peer('a', 'alive', 'd')
    assert.equal(of(a, peer('b', 'alive', 'd'), peer('c', 'dead', 'd')), true)
    assert.equal(of(a, peer('b', 'alive', 'old'), peer('c', 'dead', 'd')), false)
    assert.equal(of(a, peer('b', 'dead', 'd')), false)
    assert.equal(of(a, peer('b', 'left', 'd')), true)
  })

  it('waits for slots that are not ready, and says where they are', () => {
    const starting = { state: 'starting', reason: 'no healthy probe yet' }
    const verdict = judge(watch([slot('shop/web/0'), slot('shop/web/1', { ...starting, peer: 'b' })]))
    assert.equal(verdict.kind, 'waiting')
    assert.equal(verdict.services[0]?.rest, '1 starting on b (no healthy probe yet)')
  })

  it('waits for instances that are on their way out', () => {
    const old = slot('shop/web/0', { release: 'r0', desired: false, state: 'draining' })
    assert.equal(judge(watch([slot('shop/web/0'), old])).kind, 'waiting')
    assert.equal(judge(watch([slot('shop/web/0'), { ...old, state: 'stopped' }])).kind, 'converged')
  })

  it('waits for a living peer with another digest, and for no dead one', () => {
    const late = { name: 'b', state: 'alive', digest: 'old', settled: true }
    const verdict = judge(watch([slot('shop/web/0')], { peers: [late] }))
    assert.deepEqual([verdict.kind, verdict.behind], ['waiting', ['b']])
    assert.equal(
      judge(watch([slot('shop/web/0')], { peers: [{ ...late, state: 'dead' }] })).kind,
      'converged',
    )
  })

  it('does not wait for ever for peers that are busy with other cells', () => {
    const busy = watch([slot('shop/web/0'), slot('other/x/0', { state: 'crashed' })], {
      peers: [{ name: 'a', state: 'alive', digest: 'd', settled: false }],
    })
    const convergence = new Convergence(shop)
    assert.equal(convergence.judge(busy, 0).kind, 'waiting')
    assert.equal(convergence.judge(busy, QUIET_MS - 1).kind, 'waiting')
    assert.equal(convergence.judge(busy, QUIET_MS).kind, 'converged')
  })

  it('fails once a slot has stayed unfulfilled', () => {
    const broken = watch([slot('shop/web/0', { state: 'unfulfilled', reason: 'exits with 1' })])
    const convergence = new Convergence(shop)
    assert.equal(convergence.judge(broken, 0).kind, 'waiting')
    assert.equal(convergence.judge(watch([slot('shop/web/0', { state: 'starting' })]), 5000).kind, 'waiting')
    assert.equal(convergence.judge(broken, 6000).kind, 'waiting')
    assert.equal(convergence.judge(broken, 6000 + FINAL_MS).kind, 'failed')
  })

  it('is reached at once when nothing is left of what was removed', () => {
    assert.equal(judge(watch([slot('other/x/0')])).kind, 'converged')
  })
})
