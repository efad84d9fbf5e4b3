// The promise of the store over whole lives: no acknowledged record is ever lost (S2) nor a refused one ever seen again,
// wherever the power goes.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Loaded, Store } from '../../../crdt/store.ts'
import { utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { seededRandom, type Random } from '../../../lib/random.ts'
import { SimulatedDisk } from '../../../simulations/disk.ts'
import { frame, texts } from '../../contracts/store.ts'
import { snapshotText } from './stores.ts'

/** One peer's life on the disk, as the promises to its operators see it. */
interface Ledger {
  /** In the order of their calls. */
  readonly acknowledged: string[]
  readonly refused: Set<string>
  readonly tried: Set<string>
}

const recordsOf = (loaded: Loaded): readonly string[] => [
  ...(snapshotText(loaded) ?? '').split(' ').filter((text) => text !== ''),
  ...texts(loaded.snapshot?.frames ?? []),
  ...texts(loaded.frames),
]

/** Appends, snapshots and suffers faults until its luck runs out; resolves when the power is gone. */
const live = async (disk: SimulatedDisk, store: Store, ledger: Ledger, random: Random): Promise<void> => {
  const calls: Promise<void>[] = []
  const appendOne = async (record: string): Promise<void> => {
    ledger.tried.add(record)
    try {
      await store.append([frame(record)])
      ledger.acknowledged.push(record)
    } catch (error) {
      assert.ok(error instanceof TuttiError && error.code === 'storage', String(error))
      ledger.refused.add(record)
    }
  }
  const steps = 5 + random.below(25)
  for (let step = 0; step < steps; step += 1) {
    const chance = random.next()
    if (chance < 0.7)
      calls.push(
        appendOne(`${ledger.tried.size}${'x'.repeat(random.below(4) === 0 ? random.below(9000) : 5)}`),
      )
    else if (chance < 0.78)
      calls.push(
        store
          .writeSnapshot({ document: utf8(ledger.acknowledged.join(' ')), frames: [] })
          .catch(() => undefined),
      )
    else if (chance < 0.84) disk.failNext(random.next() < 0.5 ? 'write' : 'sync', 'EIO')
    else if (chance < 0.88) disk.full = !disk.full
    for (let turn = random.below(30); turn > 0; turn -= 1) await Promise.resolve()
  }
}

describe('store safety', () => {
  it('S2: loses no acknowledged record and revives no refused one, over crashes anywhere', async () => {
    for (let seed = 0; seed < 120; seed += 1) {
      const random = seededRandom(`store safety ${seed}`)
      const disk = new SimulatedDisk({ random })
      const ledger: Ledger = { acknowledged: [], refused: new Set(), tried: new Set() }
      for (let life = 0; life < 6; life += 1) {
        const store = disk.openStore()
        const loaded = await store.load()
        const found = recordsOf(loaded)
        const unique = [...new Set(found)]
        const label = `seed ${seed}, life ${life}`
        assert.deepEqual(
          ledger.acknowledged.filter((record) => !unique.includes(record)),
          [],
          `${label}: lost`,
        )
        assert.deepEqual(
          unique.filter((record) => !ledger.tried.has(record)),
          [],
          `${label}: invented`,
        )
        assert.deepEqual(
          unique.filter((record) => ledger.refused.has(record)),
          [],
          `${label}: revived`,
        )
        assert.doesNotMatch(loaded.damage ?? '', /durable once|missing|damaged/, label)
        // What a crash left undecided is decided now: it is there, and stays.
        for (const record of unique)
          if (!ledger.acknowledged.includes(record)) ledger.acknowledged.push(record)
        await live(disk, store, ledger, random.fork(`life ${life}`))
        if (random.next() < 0.3) disk.kill()
        else disk.crash()
        disk.heal()
      }
    }
  })
})
