import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkNotRejected, orderRollout, rejectRelease, retryRelease } from '../../crdt/rollout-edits.ts'
import { REJECTED_MAX } from '../../crdt/schema/rollout.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import { fieldFault } from '../../crdt/fields.ts'
import { service, viewOf } from '../node/plan/fleet.ts'

const good = service('shop/web', { command: ['good'], replicas: 3 })
const bad: ServiceView = {
  ...service('shop/web', { command: ['bad'], replicas: 5 }),
  release: 'bad000000000' as never,
}
const was: ServiceView = { ...good, release: '600d00000000' as never }
const rejected = (reason: string, at: number) => ({ reason, at, to: was.release })
const reject = (now: ServiceView) =>
  rejectRelease(viewOf([], [now]), { service: now.id, release: bad.release }, was, {
    reason: 'it crashed',
    at: 7,
  })

describe('rejectRelease', () => {
  it('goes back in what makes the release, and leaves the rest as it is', () => {
    assert.deepEqual(
      reject(bad).map(({ key, value }) => [key, value]),
      [
        ['shop/web/1/command', '["good"]'],
        ['shop/web/1/rejected/bad000000000', '{"at":7,"reason":"it crashed","to":"600d00000000"}'],
      ],
    )
  })

  it('does nothing once another release is wanted', () => {
    assert.deepEqual(reject({ ...bad, release: 'next00000000' as never }), [])
  })

  it('keeps so many rejections, and forgets the oldest (S14)', () => {
    const many = Object.fromEntries(
      Array.from({ length: REJECTED_MAX }, (_, at) => [`00000000000${at}`, rejected('no', at)]),
    )
    const nulled = reject({ ...bad, rejected: many }).filter(({ value }) => value === null)
    assert.deepEqual(
      nulled.map(({ key }) => key),
      ['shop/web/1/rejected/000000000000'],
    )
  })

  it('writes what the document may hold', () => {
    for (const { container, key, value } of reject(bad)) assert.equal(fieldFault(container, key, value), null)
    for (const { container, key, value } of orderRollout(viewOf([], [good]), good.id, 'pause', 't-1'))
      assert.equal(fieldFault(container, key, value), null)
  })
})

describe('checkNotRejected', () => {
  const before = viewOf([], [was])
  const after = viewOf([], [{ ...bad, rejected: { bad000000000: rejected('it crashed', 7) } }])

  it('refuses a change to a release that was rejected, with the reason and the way out', () => {
    assert.throws(
      () => checkNotRejected(before, after),
      /release bad000000000 of 'shop\/web' was rejected \(it crashed\); change something, or try it again with tutti rollout retry shop\/web/,
    )
  })

  it('lets it pass where it is wanted already, and where nothing was rejected', () => {
    checkNotRejected(after, after)
    checkNotRejected(before, before)
  })

  it('is satisfied by a retry, which takes the rejection back', () => {
    const edits = retryRelease(after, bad.id, bad, 'token')
    assert.ok(edits.some(({ key, value }) => key.endsWith('/rejected/bad000000000') && value === null))
  })
})
