import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '../../lib/random.ts'
import type { Clock } from '../../lib/time.ts'
import { SimulatedDisk } from '../../simulations/disk.ts'
import { frame, storeContract, texts } from '../contracts/store.ts'

storeContract('SimulatedDisk', () => {
  const disk = new SimulatedDisk({ random: seededRandom('contract') })
  return Promise.resolve({ open: () => disk.openStore(), dispose: () => Promise.resolve() })
})

/** Runs what is due in microtasks. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 200; turn += 1) await Promise.resolve()
}

describe('SimulatedDisk', () => {
  it('does the same for the same seed', async () => {
    const run = async (): Promise<readonly unknown[]> => {
      const disk = new SimulatedDisk({ random: seededRandom('same') })
      const outcomes: unknown[] = []
      for (let round = 0; round < 20; round += 1) {
        const store = disk.openStore()
        outcomes.push(await store.load())
        void store.append([frame(`${round}`.repeat(700))])
        for (let turn = 0; turn < round; turn += 1) await Promise.resolve()
        disk.crash()
      }
      return outcomes
    }
    assert.deepEqual(await run(), await run())
  })

  it('loses unsynced bytes in part at a crash, and synced ones never', async () => {
    const lengths = new Set<number>()
    for (let seed = 0; seed < 40; seed += 1) {
      const disk = new SimulatedDisk({ random: seededRandom(`crash ${seed}`) })
      const files = disk.mount()
      const file = await files.open('x', 'fresh')
      await file.write(new Uint8Array(1000).fill(1), 0)
      await file.sync('all')
      await files.syncDirectory()
      await file.write(new Uint8Array(9000).fill(2), 1000)
      disk.crash()
      const kept = disk.bytes('x')
      assert.deepEqual(kept.subarray(0, 1000), new Uint8Array(1000).fill(1))
      lengths.add(kept.filter((byte) => byte === 2).length)
    }
    assert.ok(lengths.has(0) && lengths.has(9000) && lengths.size > 5, [...lengths].join())
  })

  it('forgets a name that was not synced, at some crashes', async () => {
    const found = new Set<boolean>()
    for (let seed = 0; seed < 20; seed += 1) {
      const disk = new SimulatedDisk({ random: seededRandom(`name ${seed}`) })
      const file = await disk.mount().open('x', 'fresh')
      await file.sync('all')
      disk.crash()
      found.add(disk.files().includes('x'))
    }
    assert.equal(found.size, 2)
  })

  it('drops pages silently at a failed sync, as Linux does', async () => {
    const kept = new Set<boolean>()
    for (let seed = 0; seed < 20; seed += 1) {
      const disk = new SimulatedDisk({ random: seededRandom(`fsyncgate ${seed}`) })
      const files = disk.mount()
      const file = await files.open('x', 'fresh')
      await files.syncDirectory()
      await file.write(Uint8Array.of(7), 0)
      disk.failNext('sync', 'EIO')
      await assert.rejects(file.sync('bytes'))
      assert.deepEqual(disk.bytes('x'), Uint8Array.of(7))
      await file.sync('bytes')
      disk.crash()
      kept.add(disk.bytes('x')[0] === 7)
    }
    assert.equal(kept.size, 2)
  })

  it('keeps everything written when only the process is killed', async () => {
    const disk = new SimulatedDisk({ random: seededRandom('kill') })
    const file = await disk.mount().open('x', 'fresh')
    await file.write(Uint8Array.of(1, 2), 0)
    disk.kill()
    assert.deepEqual(disk.bytes('x'), Uint8Array.of(1, 2))
  })

  it('does nothing more for a process that is gone', async () => {
    const disk = new SimulatedDisk({ random: seededRandom('gone') })
    const store = disk.openStore()
    await store.load()
    const before = disk.bytes('log-00000001')
    let settled = false
    disk.kill()
    void store.append([frame('a')]).finally(() => (settled = true))
    await settle()
    assert.equal(settled, false)
    assert.deepEqual(disk.bytes('log-00000001'), before)
  })

  it('refuses while it is full', async () => {
    const disk = new SimulatedDisk({ random: seededRandom('full') })
    const store = disk.openStore()
    await store.load()
    disk.full = true
    await assert.rejects(store.append([frame('a')]), /the disk is full/)
    disk.full = false
    await store.append([frame('b')])
    disk.crash()
    assert.deepEqual(texts((await disk.openStore().load()).frames), ['b'])
  })

  it('takes its time on the clock while it is slow', async () => {
    const due: (() => void)[] = []
    const clock: Clock = {
      now: () => 0,
      wall: () => 0,
      after: (delayMs, fire) => {
        assert.equal(delayMs, 50)
        due.push(fire)
        return () => undefined
      },
    }
    const disk = new SimulatedDisk({ random: seededRandom('slow'), clock })
    const store = disk.openStore()
    await store.load()
    disk.slowMs = 50
    let done = false
    const appended = store.append([frame('a')]).then(() => (done = true))
    await settle()
    assert.equal(due.length, 1)
    assert.equal(done, false)
    // The write, then its sync.
    due.shift()?.()
    await settle()
    due.shift()?.()
    await appended
    assert.equal(done, true)
  })
})
