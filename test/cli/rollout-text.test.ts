import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isTelling, slotReleaseText } from '../../cli/rollout-text.ts'
import { editLines } from '../../cli/show-change.ts'
import type { RolloutReply } from '../../node/serve/api/contract-rollout.ts'

const rollout: RolloutReply = {
  service: 'shop/web',
  release: 'aaaaaaaaaaaa',
  phase: 'done',
  reason: '',
  wave: 1,
  open: 2,
  slots: 2,
  ready: 2,
  since: 0,
  good: null,
  steward: null,
  verified: true,
  rejected: [],
}

describe('slotReleaseText', () => {
  it('says nothing of a slot that has the release and nothing else', () => {
    const text = slotReleaseText({ canary: true, state: 'ready', others: [], reason: '' }, 'aaaaaaaaaaaa')
    assert.equal(text, null)
  })

  it('says why a slot waits, and what serves in it until then', () => {
    const others = [{ release: 'bbbbbbbbbbbb', peer: 'oak', state: 'ready' as const }]
    const reason = 'waits for its wave'
    assert.equal(
      slotReleaseText({ canary: false, state: 'pending', others, reason }, 'aaaaaaaaaaaa'),
      'release: aaaaaaaaaaaa pending: waits for its wave; bbbbbbbbbbbb on oak is ready',
    )
    assert.equal(
      slotReleaseText({ canary: true, state: null, others: [], reason: '' }, 'aaaaaaaaaaaa'),
      'release: canary of aaaaaaaaaaaa is not there yet',
    )
  })
})

describe('a change that says something of a rollout', () => {
  const line = (path: string, to: string | null): string =>
    editLines(
      [{ path, from: null, to }],
      { isTerminal: false, columns: 80, write: () => undefined },
      (_, text) => text,
    )[1] ?? ''

  it('is read in words', () => {
    const order = JSON.stringify({ kind: 'pause', release: 'aaaaaaaaaaaa', token: 'x' })
    assert.equal(line('shop/web rollout', order), '  ~ rollout of release aaaaaaaaaaaa: pause')
    const why = JSON.stringify({ at: 1, reason: 'it crashed', to: 'aaaaaaaaaaaa' })
    assert.equal(
      line('shop/web rejected.bbbbbbbbbbbb', why),
      '  ~ release bbbbbbbbbbbb is rejected (it crashed), back to aaaaaaaaaaaa',
    )
    assert.equal(
      line('shop/web rejected.bbbbbbbbbbbb', null),
      '  ~ release bbbbbbbbbbbb is not rejected any more',
    )
  })
})

describe('isTelling', () => {
  it('is true while a rollout is on its way, and where a release was taken back', () => {
    assert.equal(isTelling(rollout), false)
    assert.equal(isTelling({ ...rollout, phase: 'canary' }), true)
    const rejected = [{ release: 'cccccccccccc', reason: 'it crashed', at: 1, to: 'aaaaaaaaaaaa' }]
    assert.equal(isTelling({ ...rollout, rejected }), true)
  })
})
