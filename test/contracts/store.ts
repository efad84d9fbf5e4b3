// The contract of every Store. A bench opens stores one after the other over the same bytes, as processes that follow
// each other do; how it makes them (a directory, a simulated disk) is its own affair.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Frame, FrameKind, Loaded, Store } from '../../crdt/store.ts'
import { TuttiError } from '../../lib/errors.ts'
import { textOf, utf8 } from '../../lib/bytes.ts'

export interface StoreBench {
  /** A new store over what earlier ones left; not loaded yet. */
  open(): Store
  dispose(): Promise<void>
}

export const frame = (text: string, kind: FrameKind = 'intent'): Frame => ({ kind, bytes: utf8(text) })

export const texts = (frames: readonly Frame[]): readonly string[] =>
  frames.map(({ kind, bytes }) => `${kind === 'intent' ? '' : `${kind}:`}${textOf(bytes)}`)

/** What a reader of a store ends up with: the snapshot's document, its frames, the log's frames. */
const contents = (loaded: Loaded): readonly string[] => [
  ...(loaded.snapshot === null
    ? []
    : [`[${textOf(loaded.snapshot.document)}]`, ...texts(loaded.snapshot.frames)]),
  ...texts(loaded.frames),
]

/** The same without records that the snapshot covers: a store may repeat the last of them, they are idempotent. */
const contentsBeyond = (loaded: Loaded, covered: readonly string[]): readonly string[] =>
  contents(loaded).filter((text) => !covered.includes(text))

/** Registers the suite. `makeBench` is called before each test. */
export const storeContract = (name: string, makeBench: () => Promise<StoreBench>): void => {
  describe(`${name} as a Store`, () => {
    let bench: StoreBench
    let opened: Store[]

    const load = async (): Promise<{ readonly store: Store; readonly loaded: Loaded }> => {
      const store = bench.open()
      opened.push(store)
      return { store, loaded: await store.load() }
    }
    /** Closes the store and reads what the next process finds. */
    const reopen = async (store: Store): Promise<{ readonly store: Store; readonly loaded: Loaded }> => {
      await store.close()
      return load()
    }

    beforeEach(async () => {
      opened = []
      bench = await makeBench()
    })
    afterEach(async () => {
      for (const store of opened) await store.close()
      await bench.dispose()
    })

    it('is empty and intact at first', async () => {
      const { store, loaded } = await load()
      assert.deepEqual(loaded, { snapshot: null, frames: [], damage: null })
      assert.equal(store.appendedBytes, 0)
    })

    it('gives back appended frames, in order and in kind', async () => {
      const { store } = await load()
      await store.append([frame('a'), frame('b', 'status')])
      await store.append([frame('')])
      const { loaded } = await reopen(store)
      assert.deepEqual(loaded, {
        snapshot: null,
        frames: [frame('a'), frame('b', 'status'), frame('')],
        damage: null,
      })
    })

    it('keeps the order of calls that were made at once', async () => {
      const { store } = await load()
      const wanted = Array.from({ length: 100 }, (_, index) => `${index}`)
      await Promise.all(wanted.map((text) => store.append([frame(text)])))
      assert.deepEqual(contents((await reopen(store)).loaded), wanted)
    })

    it('goes on where an earlier process stopped', async () => {
      let { store } = await load()
      for (const text of ['a', 'b', 'c']) {
        await store.append([frame(text)])
        store = (await reopen(store)).store
      }
      assert.deepEqual(contents((await reopen(store)).loaded), ['a', 'b', 'c'])
    })

    it('replaces what was appended by a snapshot, and keeps what comes after', async () => {
      const { store } = await load()
      await store.append([frame('a')])
      await store.writeSnapshot({ document: utf8('A'), frames: [frame('s', 'status')] })
      await store.append([frame('b')])
      const again = await reopen(store)
      assert.deepEqual(contentsBeyond(again.loaded, ['a']), ['[A]', 'status:s', 'b'])
      assert.equal(again.loaded.damage, null)
      await again.store.writeSnapshot({ document: utf8('AB'), frames: [] })
      await again.store.writeSnapshot({ document: new Uint8Array(), frames: [] })
      assert.deepEqual(contentsBeyond((await reopen(again.store)).loaded, ['a', 'b']), ['[]'])
    })

    it('loses no append that was under way when a snapshot was asked for', async () => {
      const { store } = await load()
      await store.append([frame('a')])
      const early = store.append([frame('b')])
      // One turn later that append is being written; the next one still waits.
      await Promise.resolve()
      const waiting = store.append([frame('c')])
      const snapshot = store.writeSnapshot({ document: utf8('A'), frames: [] })
      const late = store.append([frame('d')])
      await Promise.all([early, waiting, snapshot, late])
      assert.deepEqual(contentsBeyond((await reopen(store)).loaded, ['a']), ['[A]', 'b', 'c', 'd'])
    })

    it('loses no record whose append resolved only just before the snapshot was asked for', async () => {
      const { store } = await load()
      const applied: string[] = []
      // The caller's own reaction comes a few microtasks after the store's: another path may ask in between.
      const slowCaller = async (): Promise<void> => {
        await store.append([frame('a')])
        for (let turn = 0; turn < 3; turn += 1) await Promise.resolve()
        applied.push('a')
      }
      const asked = store
        .append([frame('b')])
        .then(() => store.writeSnapshot({ document: utf8(applied.join('')), frames: [] }))
      await Promise.all([slowCaller(), asked])
      const found = contents((await reopen(store)).loaded).join(' ')
      assert.match(found, /a/)
      assert.match(found, /b/)
    })

    it('takes snapshots that were asked for at once, one after the other', async () => {
      const { store } = await load()
      await Promise.all(
        ['A', 'B', 'C'].map((text) => store.writeSnapshot({ document: utf8(text), frames: [] })),
      )
      assert.deepEqual(contents((await reopen(store)).loaded), ['[C]'])
    })

    it('counts the bytes appended since the last snapshot, across restarts', async () => {
      const { store } = await load()
      await store.append([frame('a'.repeat(1000))])
      const before = store.appendedBytes
      assert.ok(before >= 1000 && before < 1100, `${before}`)
      const again = (await reopen(store)).store
      assert.equal(again.appendedBytes, before)
      await again.writeSnapshot({ document: utf8('A'), frames: [] })
      assert.equal(again.appendedBytes, 0)
      await again.append([frame('b')])
      const after = again.appendedBytes
      assert.ok(after > 0 && after < 100, `${after}`)
      assert.ok((await reopen(again)).store.appendedBytes >= after)
    })

    it('takes nothing for an empty call', async () => {
      const { store } = await load()
      await store.append([])
      assert.equal(store.appendedBytes, 0)
    })

    it('refuses a record that exceeds the limit, and only that one', async () => {
      const { store } = await load()
      const huge = store.append([{ kind: 'intent', bytes: new Uint8Array(4 * 1024 * 1024 + 1) }])
      const small = store.append([frame('a')])
      await assert.rejects(huge, (error) => error instanceof TuttiError && error.code === 'too-large')
      await small
      assert.deepEqual(contents((await reopen(store)).loaded), ['a'])
    })

    it('finishes what was asked for before it closes, and refuses what comes later', async () => {
      const { store } = await load()
      const appended = store.append([frame('a')])
      await store.close()
      await appended
      await assert.rejects(
        store.append([frame('b')]),
        (error) => error instanceof TuttiError && error.code === 'not-ready',
      )
      assert.deepEqual(contents((await load()).loaded), ['a'])
    })
  })
}
