// A rack loses power: three of nine machines are gone at once, and come back an hour later.

import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

const REPLICAS = 9
/** A death is seen within three seconds, reschedule_after is five, and the programs start in turn. */
const TAKEN_OVER_MS = 20_000

export const thirdLost: Scenario = {
  name: 'third-lost',
  fear: 'a third of the fleet is lost at once, and what is left moves so much that it falls as well',
  machines: 9,
  tell: async (stage) => {
    await stage.deployed(stage.machine(0), program('web', { replicas: REPLICAS }))
    const rack = stage.machines.slice(6)
    const rest = stage.machines.slice(0, 6)
    const before = new Map(rest.map((machine) => [machine, stage.nonces(machine)]))
    const untouched = (): boolean =>
      rest.every((machine) => {
        const now = new Set(stage.nonces(machine))
        return before.get(machine)?.every((nonce) => now.has(nonce)) === true
      })
    for (const machine of rack) stage.power(machine, false)
    const stopWatching = stage.always('what runs on the other machines is left alone', untouched)
    await stage.until('every replica answers again', () => stage.ready('web') === REPLICAS, TAKEN_OVER_MS)
    stage.always('every replica of web answers', () => stage.ready('web') === REPLICAS)
    await stage.wait(60_000)
    for (const machine of rack) stage.power(machine, true)
    await stage.wait(30_000)
    stage.expect('what runs on the other machines was left alone all the time', untouched())
    stopWatching()
  },
}
