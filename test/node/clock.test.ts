import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../node/clock.ts'

const turn = async (): Promise<void> => {
  await new Promise<void>((done) => void systemClock.after(0, done))
}

describe('system clock', () => {
  it('lets timers that are due have their turn between two that come after no time', async () => {
    const fired: number[] = []
    setTimeout(() => fired.push(1), 1)
    // Ends only when the timer has had its turn: without one it would go on for ever.
    while (fired.length === 0) await turn()
  })

  it('cancels what comes after no time as any other', async () => {
    const cancel = systemClock.after(0, () => assert.fail('it was cancelled'))
    cancel()
    await turn()
    await turn()
  })
})
