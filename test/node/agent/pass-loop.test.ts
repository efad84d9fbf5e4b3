import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PassLoop } from '../../../node/agent/pass-loop.ts'
import { handClock } from '../support/hand-clock.ts'

/** `passMs`: of each step. */
const loopOf = (passMs: number, members = 0, steps = 1) => {
  const clock = handClock()
  const began: number[] = []
  const wake: { at: number | null } = { at: null }
  const pass = function* () {
    began.push(clock.now())
    for (let step = 1; step < steps; step += 1) {
      clock.spend(passMs)
      yield
    }
    clock.spend(passMs)
    return wake.at
  }
  const loop = new PassLoop(clock, pass, () => members)
  return { clock, began, wake, loop }
}

describe('pass loop', () => {
  it('makes one pass of many events', () => {
    const { clock, began, loop } = loopOf(0)
    for (let turn = 0; turn < 100; turn += 1) loop.dirty()
    clock.advance(1000)
    assert.deepEqual(began, [3])
  })

  it('waits longer with what others say, unless something else comes', () => {
    const { clock, began, loop } = loopOf(0)
    loop.dirty('heard')
    clock.advance(6)
    loop.dirty('heard')
    clock.advance(100)
    loop.dirty('heard')
    clock.advance(1)
    loop.dirty()
    clock.advance(100)
    loop.dirty('heard')
    loop.dirty('now')
    clock.advance(100)
    assert.deepEqual(began, [10, 110, 208])
  })

  it('rests a fifth of a millisecond for each member, and waits for nobody after a quiet time', () => {
    const { clock, began, loop } = loopOf(0, 1000)
    for (const waitMs of [0, 50, 1000]) {
      clock.advance(waitMs)
      loop.dirty()
    }
    clock.advance(1000)
    assert.deepEqual(began, [3, 203, 1053])
  })

  it('rests nine times as long as a pass took, and a quarter of a second at most', () => {
    for (const [passMs, restMs] of [
      [10, 90],
      [500, 250],
    ] as const) {
      const { clock, began, loop } = loopOf(passMs)
      loop.dirty()
      clock.advance(3)
      loop.dirty()
      clock.advance(1000)
      assert.deepEqual(began, [3, 3 + passMs + restMs])
    }
  })

  it('after a rest is as quick as ever', () => {
    const { clock, began, loop } = loopOf(10)
    loop.dirty()
    clock.advance(1000)
    loop.dirty()
    const now = clock.now()
    clock.advance(1000)
    assert.deepEqual(began, [3, now + 3])
  })

  it('wakes when the plan asked for it, unless a pass comes first', () => {
    const { clock, began, wake, loop } = loopOf(0)
    wake.at = 500
    loop.dirty()
    clock.advance(400)
    assert.deepEqual(began, [3])
    wake.at = null
    clock.advance(1000)
    assert.deepEqual(began, [3, 500])
  })

  it('gives way between the steps of a pass, and rests as long as they took together', () => {
    const { clock, began, loop } = loopOf(10, 0, 2)
    loop.dirty()
    const others: number[] = []
    clock.after(4, () => others.push(clock.now()))
    clock.advance(3)
    loop.dirty()
    clock.advance(1000)
    assert.deepEqual([began, others], [[3, 3 + 10 + 1 + 10 + 180], [13]])
  })

  it('lets timers have their turn between the steps of a pass, and before a pass that is due at once', () => {
    const { clock, began, loop } = loopOf(10, 0, 2)
    const others: number[] = []
    for (const atMs of [1, 11]) clock.after(atMs, () => others.push(clock.now()))
    loop.dirty('now')
    clock.advance(1000)
    assert.deepEqual([others, began], [[1, 11], [1]])
  })

  it('makes one more pass for what changed while one was under way', () => {
    const { clock, began, loop } = loopOf(0, 0, 2)
    loop.dirty()
    clock.after(3, () => {
      loop.dirty()
      loop.dirty('now')
    })
    clock.advance(1000)
    assert.deepEqual(began, [3, 5])
  })

  it('goes on with no pass after it was stopped in the midst of one', () => {
    const { clock, began, wake, loop } = loopOf(0, 0, 2)
    wake.at = 500
    loop.dirty()
    clock.after(3, () => loop.stop())
    clock.advance(1000)
    assert.deepEqual(began, [3])
  })

  it('makes no pass after it was stopped', () => {
    const { clock, began, loop } = loopOf(0)
    loop.dirty()
    loop.stop()
    loop.dirty()
    clock.advance(1000)
    assert.deepEqual(began, [])
  })
})
