// What the store finds when it opens files that a crash, a fault or a stranger left, and what it says of them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeHeader } from '../../../crdt/log/format.ts'
import { concatBytes, textOf, utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { seededRandom } from '../../../lib/random.ts'
import { SimulatedDisk } from '../../../simulations/disk.ts'
import { frame, texts } from '../../contracts/store.ts'
import { diskOf, diskWith, distinct, loadedStore, snapshotText } from './stores.ts'

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
