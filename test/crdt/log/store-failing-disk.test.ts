// The store while the disk refuses: what is refused with it, what stays, and how it goes on.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { type DiskOperation } from '../../../simulations/disk.ts'
import { frame, texts } from '../../contracts/store.ts'
import { diskOf, distinct, loadedStore, snapshotText } from './stores.ts'

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
