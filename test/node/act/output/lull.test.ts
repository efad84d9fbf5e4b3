import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Lull } from '../../../../node/act/output/lull.ts'
import { handClock } from '../../support/hand-clock.ts'

describe('lull', () => {
  it('does what waits once nothing was added for a moment', async () => {
    const clock = handClock()
    const done: number[] = []
    const lull = new Lull<number>(clock, (one) => done.push(one))
    lull.add(1)
    clock.advance(60)
    lull.add(2)
    clock.advance(60)
    await turn()
    assert.deepEqual(done, [])
    clock.advance(100)
    await turn()
    assert.deepEqual(done, [1, 2])
    lull.add(3)
    clock.advance(100)
    assert.deepEqual(done, [1, 2, 3])
  })

  it('keeps nothing waiting for half a second', async () => {
    const clock = handClock()
    const done: number[] = []
    const lull = new Lull<number>(clock, (one) => done.push(one))
    for (let at = 0; at < 60; at += 1) {
      lull.add(at)
      clock.advance(10)
      await turn()
    }
    assert.ok(done.includes(0) && !done.includes(59))
  })

  it('does at once what is needed, once, and nothing after it was stopped', () => {
    const clock = handClock()
    const done: string[] = []
    const lull = new Lull<string>(clock, (one) => done.push(one))
    lull.add('a')
    lull.add('b')
    lull.hurry('a')
    lull.hurry('a')
    assert.deepEqual([done, [...lull.waiting]], [['a'], ['b']])
    lull.stop()
    clock.advance(1000)
    assert.deepEqual(done, ['a'])
  })
})
