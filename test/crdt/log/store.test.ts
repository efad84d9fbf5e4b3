// The store under faults, on the simulated disk: what recovery finds, and that no acknowledged record is ever lost (S2)
// nor a refused one ever seen again, wherever the power goes.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeHeader } from '../../../crdt/log/format.ts'
import type { Loaded, Store } from '../../../crdt/store.ts'
import { concatBytes, textOf, utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { seededRandom, type Random } from '../../../lib/random.ts'
import { SimulatedDisk, type DiskOperation } from '../../../simulations/disk.ts'
import { frame, texts } from '../../contracts/store.ts'

const diskOf = (seed = 'store'): SimulatedDisk => new SimulatedDisk({ random: seededRandom(seed) })

const loadedStore = async (disk: SimulatedDisk): Promise<Store> => {
  const store = disk.openStore()
  await store.load()
  return store
}

/** A disk after the power was cut on an idle store that had appended these, each on its own. */
const diskWith = async (...records: readonly string[]): Promise<SimulatedDisk> => {
  const disk = diskOf()
  const store = await loadedStore(disk)
  for (const record of records) await store.append([frame(record)])
  disk.crash()
  return disk
}

/** Without repeats: after a snapshot the last group before it may be there twice. */
const distinct = (loaded: Loaded): readonly string[] => [...new Set(texts(loaded.frames))]

const snapshotText = (loaded: Loaded): string | null =>
  loaded.snapshot === null ? null : textOf(loaded.snapshot.document)

describe('store recovery', () => {
  it('cuts a torn tail off, says that nothing acknowledged was lost, and says it once', async () => {
    const disk = await diskWith('a', 'b', 'c')
    const whole = disk.bytes('log-00000001')
    disk.put('log-00000001', whole.subarray(0, whole.length - 1))
    const store = disk.openStore()
    const loaded = await store.load()
    assert.deepEqual(texts(loaded.frames), ['a', 'b'])
    assert.match(
      loaded.damage ?? '',
      /^log-00000001 has 16 unreadable bytes at 46, an unfinished write; nothing acknowledged was lost$/,
    )
    await store.append([frame('d')])
    disk.crash()
    const again = await disk.openStore().load()
    assert.deepEqual(texts(again.frames), ['a', 'b', 'd'])
    assert.equal(again.damage, null)
  })

  it('finds whole records behind the torn part of an unfinished write, and mistakes it for no damage later', async () => {
    const disk = diskOf()
    const store = await loadedStore(disk)
    await store.append([frame('a')])
    await store.append([frame('b'), frame('c')])
    disk.crash()
    disk.flip('log-00000001', 45, 0xff)
    const next = disk.openStore()
    const loaded = await next.load()
    assert.deepEqual(texts(loaded.frames), ['a', 'c'])
    assert.match(loaded.damage ?? '', /nothing acknowledged was lost/)
    await next.append([frame('d')])
    disk.crash()
    const again = await disk.openStore().load()
    assert.deepEqual(texts(again.frames), ['a', 'c', 'd'])
    assert.equal(again.damage, null)
  })

  it('reports a corrupt middle loudly, and still reads what follows', async () => {
    const disk = await diskWith('a', 'b', 'c', 'd')
    disk.flip('log-00000001', 45, 0x01)
    const store = disk.openStore()
    const loaded = await store.load()
    assert.deepEqual(texts(loaded.frames), ['a', 'c', 'd'])
    assert.match(loaded.damage ?? '', /17 unreadable bytes at 29, which were durable once/)
    await store.append([frame('e')])
    disk.crash()
    assert.deepEqual(texts((await disk.openStore().load()).frames), ['a', 'c', 'd', 'e'])
  })

  it('reads on after a damaged header, and writes elsewhere', async () => {
    const disk = await diskWith('a', 'b')
    disk.flip('log-00000001', 3, 0x20)
    const store = disk.openStore()
    const loaded = await store.load()
    assert.deepEqual(texts(loaded.frames), ['a', 'b'])
    assert.match(loaded.damage ?? '', /unreadable header; 2 records/)
    await store.append([frame('c')])
    disk.crash()
    assert.deepEqual(disk.files(), ['log-00000001', 'log-00000002'])
    assert.deepEqual(texts((await disk.openStore().load()).frames), ['a', 'b', 'c'])
  })

  it('says that a log is empty or ends within its header, and writes elsewhere', async () => {
    for (const length of [0, 5, 11]) {
      const disk = diskOf()
      disk.put('log-00000001', encodeHeader('L').subarray(0, length))
      const store = disk.openStore()
      const loaded = await store.load()
      assert.deepEqual(loaded.frames, [])
      assert.match(loaded.damage ?? '', /log-00000001 has an unreadable header; 0 records/)
      await store.append([frame('a')])
      disk.crash()
      assert.deepEqual(texts((await disk.openStore().load()).frames), ['a'])
    }
  })

  it('makes names durable that a killed process had not, before anything relies on them', async () => {
    for (let seed = 0; seed < 20; seed += 1) {
      let creating = false
      const disk: SimulatedDisk = new SimulatedDisk({
        random: seededRandom(`names ${seed}`),
        before: (operation) => {
          // The process dies after it has written the new log of a snapshot, before the directory is synced.
          if (creating && operation === 'sync' && disk.files().includes('log-00000002')) disk.kill()
        },
      })
      const store = await loadedStore(disk)
      await store.append([frame('a')])
      creating = true
      void store.writeSnapshot({ document: utf8('A'), frames: [] })
      for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
      creating = false
      await (await loadedStore(disk)).append([frame('b')])
      disk.crash()
      assert.ok(texts((await disk.openStore().load()).frames).includes('b'))
    }
  })

  it('leaves strange files alone, and drafts of snapshots not', async () => {
    const disk = await diskWith('a')
    for (const name of [
      'notes.txt',
      'log-1',
      'log-00000000',
      'snapshot-old',
      'snapshot-00000009.tmp',
      'log-00000009.tmp',
    ])
      disk.put(name, utf8('junk'))
    const store = disk.openStore()
    const loaded = await store.load()
    assert.deepEqual(texts(loaded.frames), ['a'])
    assert.equal(loaded.damage, null)
    await store.writeSnapshot({ document: utf8('A'), frames: [] })
    await store.writeSnapshot({ document: utf8('A'), frames: [] })
    assert.deepEqual(
      disk.files().filter((name) => !/^(log|snapshot)-0{7}[1-9]$/.test(name)),
      ['log-00000000', 'log-1', 'notes.txt', 'snapshot-old'],
    )
  })

  it('keeps a file of junk that is named like a log, and writes elsewhere', async () => {
    const disk = diskOf()
    disk.put('log-00000001', utf8('this is not a log of ours at all'))
    const store = disk.openStore()
    const loaded = await store.load()
    assert.deepEqual(loaded.frames, [])
    assert.match(loaded.damage ?? '', /unreadable header/)
    await store.append([frame('a')])
    disk.crash()
    assert.equal(textOf(disk.bytes('log-00000001')), 'this is not a log of ours at all')
    assert.deepEqual(texts((await disk.openStore().load()).frames), ['a'])
  })

  it('falls back to the snapshot before a damaged one and loses nothing', async () => {
    for (const damage of ['empty', 'flipped', 'cut', 'gone']) {
      const disk = diskOf()
      const store = await loadedStore(disk)
      await store.append([frame('a')])
      await store.writeSnapshot({ document: utf8('A'), frames: [] })
      await store.append([frame('b')])
      await store.writeSnapshot({ document: utf8('AB'), frames: [] })
      await store.append([frame('c')])
      disk.crash()
      const name = 'snapshot-00000003'
      if (damage === 'empty') disk.put(name, new Uint8Array())
      if (damage === 'flipped') disk.flip(name, 30, 0x04)
      if (damage === 'cut') disk.put(name, disk.bytes(name).subarray(0, -1))
      if (damage === 'gone') disk.drop(name)
      const next = disk.openStore()
      const loaded = await next.load()
      assert.equal(snapshotText(loaded), 'A')
      assert.deepEqual(distinct(loaded), ['a', 'b', 'c'])
      assert.equal(loaded.damage === null, damage === 'gone')
      // The damaged one is neither kept nor counted as the previous one.
      await next.writeSnapshot({ document: utf8('ABC'), frames: [] })
      assert.deepEqual(
        disk.files().filter((file) => file.startsWith('snapshot')),
        ['snapshot-00000002', 'snapshot-00000004'],
      )
    }
  })

  it('falls back to the whole log while there is one snapshot only', async () => {
    const disk = diskOf()
    const store = await loadedStore(disk)
    await store.append([frame('a')])
    await store.writeSnapshot({ document: utf8('A'), frames: [] })
    await store.append([frame('b')])
    disk.put('snapshot-00000002', new Uint8Array())
    disk.crash()
    const loaded = await disk.openStore().load()
    assert.equal(loaded.snapshot, null)
    assert.deepEqual(distinct(loaded), ['a', 'b'])
    assert.match(loaded.damage ?? '', /snapshot-00000002 is damaged \(it is empty\)/)
  })

  it('says which part of the log is missing', async () => {
    const disk = diskOf()
    const store = await loadedStore(disk)
    await store.writeSnapshot({ document: utf8('A'), frames: [] })
    await store.append([frame('a')])
    disk.crash()
    disk.drop('log-00000002')
    const next = disk.openStore()
    const loaded = await next.load()
    assert.equal(snapshotText(loaded), 'A')
    assert.match(loaded.damage ?? '', /^log-00000002 is missing/)
    await next.append([frame('b')])
    disk.crash()
    assert.deepEqual(texts((await disk.openStore().load()).frames), ['b'])
  })

  it('keeps two snapshots and the log since the older one', async () => {
    const disk = diskOf()
    const store = await loadedStore(disk)
    for (let round = 0; round < 5; round += 1) {
      await store.append([frame(`${round}`)])
      await store.writeSnapshot({ document: utf8(`${round}`), frames: [] })
    }
    assert.deepEqual(disk.files(), ['log-00000005', 'log-00000006', 'snapshot-00000005', 'snapshot-00000006'])
  })

  it('refuses files of a newer version, and does not touch them', async () => {
    const disk = await diskWith('a')
    const bytes = concatBytes([encodeHeader('L', 2), utf8('whatever it means')])
    disk.put('log-00000001', bytes)
    await assert.rejects(
      disk.openStore().load(),
      (error) => error instanceof TuttiError && error.code === 'storage' && /newer tutti/.test(error.message),
    )
    assert.deepEqual(disk.bytes('log-00000001'), bytes)
  })

  it('passes a failure to read on as one sentence', async () => {
    const disk = await diskWith('a')
    disk.failNext('read', 'EIO')
    await assert.rejects(disk.openStore().load(), /^TuttiError: the disk failed \(EIO\): the records in/)
  })
})

describe('store under a failing disk', () => {
  const refusals: readonly {
    readonly operation: DiskOperation
    readonly code: string
    readonly says: RegExp
  }[] = [
    {
      operation: 'write',
      code: 'ENOSPC',
      says: /the disk is full: 1 record could not be written to simulated disk; free/,
    },
    { operation: 'write', code: 'EROFS', says: /mounted read-only/ },
    { operation: 'sync', code: 'EIO', says: /the disk failed \(EIO\)/ },
    { operation: 'sync', code: 'ENOSPC', says: /the disk is full/ },
  ]
  for (const { operation, code, says } of refusals) {
    it(`refuses a group whose ${operation} fails with ${code}, for ever, and goes on`, async () => {
      const disk = diskOf()
      const store = await loadedStore(disk)
      await store.append([frame('a')])
      disk.failNext(operation, code)
      await assert.rejects(store.append([frame('refused')]), says)
      await store.append([frame('b')])
      disk.crash()
      const loaded = await disk.openStore().load()
      assert.deepEqual(texts(loaded.frames), ['a', 'b'])
      assert.equal(loaded.damage, null)
    })
  }

  it('refuses every call of the failed group', async () => {
    const disk = diskOf()
    const store = await loadedStore(disk)
    disk.failNext('sync', 'EIO')
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((text) => store.append([frame(text)])))
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    )
    assert.equal(store.appendedBytes, 0)
  })

  it('takes no more writes while a failed one cannot be undone, and opens again by itself', async () => {
    const disk = diskOf()
    const store = await loadedStore(disk)
    await store.append([frame('a')])
    disk.failNext('sync', 'EIO')
    disk.failNext('truncate', 'EIO')
    await assert.rejects(store.append([frame('b')]), /the disk failed \(EIO\)/)
    disk.failNext('truncate', 'EIO')
    await assert.rejects(store.append([frame('c')]), /log-00000001 in simulated disk is closed to writing/)
    disk.failNext('truncate', 'EIO')
    await assert.rejects(store.writeSnapshot({ document: utf8('A'), frames: [] }), /closed to writing/)
    await store.append([frame('d')])
    disk.crash()
    assert.deepEqual(texts((await disk.openStore().load()).frames), ['a', 'd'])
  })

  it('keeps everything when a snapshot fails at any step', async () => {
    const steps: readonly DiskOperation[] = ['open', 'write', 'sync', 'read', 'rename']
    for (const operation of steps) {
      const disk = diskOf(operation)
      const store = await loadedStore(disk)
      await store.append([frame('a')])
      await store.writeSnapshot({ document: utf8('A'), frames: [] })
      await store.append([frame('b')])
      disk.failNext(operation, 'EIO')
      await assert.rejects(
        store.writeSnapshot({ document: utf8('AB'), frames: [] }),
        (error) => error instanceof TuttiError && error.code === 'storage',
      )
      await store.append([frame('c')])
      disk.crash()
      const loaded = await disk.openStore().load()
      // A snapshot whose name may not be durable yet has failed, and is there.
      assert.match(snapshotText(loaded) ?? '', /^AB?$/)
      assert.deepEqual([...distinct(loaded)].slice(-2), ['b', 'c'], operation)
      assert.doesNotMatch(loaded.damage ?? '', /durable once|missing|damaged/, operation)
    }
  })

  it('refuses appends instead of queueing without end', async () => {
    const disk = diskOf()
    const store = await loadedStore(disk)
    const huge = { kind: 'intent', bytes: new Uint8Array(4 * 1024 * 1024) } as const
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => store.append([huge])))
    const refused = outcomes.filter(({ status }) => status === 'rejected').length
    assert.ok(refused >= 4 && refused <= 6, `${refused}`)
    await store.append([frame('a')])
  })
})

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
