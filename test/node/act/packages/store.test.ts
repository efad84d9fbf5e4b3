// Packing, the store on a disk, and trees: what goes in comes out, whatever happens in between.

import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { packDirectory } from '../../../../cli/package/pack.ts'
import { silentLog } from '../../../../lib/log.ts'
import type { PackageDigest } from '../../../../lib/ids.ts'
import { scanSegment } from '../../../../node/act/packages/segment-file.ts'
import { DiskPackages } from '../../../../node/act/packages/store.ts'
import { removable, roomFault } from '../../../../node/act/packages/space.ts'
import { chunksOf } from '../../../../node/package/manifest.ts'

const root = mkdtempSync(join(tmpdir(), 'tutti-packages-'))
after(() => {
  execFileSync('chmod', ['-R', 'u+w', root])
  rmSync(root, { recursive: true, force: true })
})

let made = 0
const folder = (): string => {
  made += 1
  const path = join(root, String(made))
  mkdirSync(path)
  return path
}

const WALL = 1_700_000_000_000
const storeIn = async (
  path: string,
  over: { budgetBytes?: number; boot?: string } = {},
): Promise<DiskPackages> => {
  const { budgetBytes = 1e9, boot = 'boot' } = over
  const clock = { wall: () => WALL }
  const store = new DiskPackages({ folder: join(path, 'packages'), budgetBytes, boot, clock, log: silentLog })
  await store.start()
  return store
}

/** A directory with one file of so many bytes, and a word. */
const directoryWith = (word: string, bytes: number): string => {
  const path = folder()
  mkdirSync(join(path, 'bin'))
  mkdirSync(join(path, 'empty'))
  mkdirSync(join(path, '.git'))
  writeFileSync(join(path, '.git/HEAD'), 'history')
  writeFileSync(join(path, 'word'), word)
  writeFileSync(join(path, 'nothing'), '')
  writeFileSync(join(path, 'bin/run'), '#!/bin/sh\n', { mode: 0o755 })
  symlinkSync('../word', join(path, 'bin/word'))
  writeFileSync(join(path, 'weight'), randomBytes(bytes))
  return path
}

/** Pushes everything but the chunks at some places. */
const put = async (
  store: DiskPackages,
  directory: string,
  without: readonly number[] = [],
): Promise<PackageDigest> => {
  const packed = await packDirectory(directory)
  const digest = await store.begin(packed.text)
  const pieces = new Map<string, Uint8Array>()
  for (const entry of packed.manifest) {
    if (entry.kind !== 'file') continue
    const bytes = readFileSync(join(directory, entry.path))
    let at = 0
    for (const [chunk, length] of entry.chunks) {
      pieces.set(chunk, bytes.subarray(at, at + length))
      at += length
    }
  }
  for (const [at, [chunk]] of chunksOf(packed.manifest).entries())
    if (!without.includes(at)) await store.write(chunk, pieces.get(chunk) ?? new Uint8Array())
  return digest
}

const keep = (
  store: DiskPackages,
  needed: readonly PackageDigest[],
  listed: readonly PackageDigest[] = [],
): void => store.keep({ needed: new Set(needed), listed: new Set(listed), run: new Set(needed) })

describe('packing', () => {
  it('gives the same content the same digest, wherever it lies, whenever it was written', async () => {
    const [one, other] = [directoryWith('same', 0), folder()]
    execFileSync('cp', ['-r', `${one}/.`, other])
    execFileSync('touch', ['-d', '2001-01-01', join(other, 'word')])
    const { digest } = await packDirectory(one)
    assert.equal((await packDirectory(other)).digest, digest)
    writeFileSync(join(other, 'word'), 'another')
    assert.notEqual((await packDirectory(other)).digest, digest)
  })

  it('leaves out .git and what .tuttiignore names, and keeps empty directories', async () => {
    const path = directoryWith('ignore', 10)
    writeFileSync(join(path, '.tuttiignore'), '*.log\n/weight\n')
    writeFileSync(join(path, 'a.log'), 'x')
    const { manifest } = await packDirectory(path)
    assert.deepEqual(
      manifest.map((entry) => `${entry.kind} ${entry.path}`),
      ['file bin/run', 'link bin/word', 'directory empty', 'file nothing', 'file word'],
    )
  })

  it('refuses in one sentence what cannot be packed', async () => {
    const socket = folder()
    execFileSync('mkfifo', [join(socket, 'pipe')])
    await assert.rejects(
      packDirectory(socket),
      /pipe is neither file, directory nor link and cannot be packed/,
    )
    const link = folder()
    symlinkSync('/etc/passwd', join(link, 'out'))
    await assert.rejects(packDirectory(link), /out is a link to \/etc\/passwd, outside of the package/)
    await assert.rejects(packDirectory(join(link, 'nowhere')), /there is no directory/)
  })
})

describe('package store', () => {
  it('gives back what was packed: contents, modes, links, empty directories', async () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/)
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(name, fc.tuple(fc.nat({ max: 400_000 }), fc.boolean()), { maxKeys: 6 }),
        async (files) => {
          const directory = folder()
          for (const [each, [bytes, executable]] of Object.entries(files)) {
            mkdirSync(join(directory, each))
            writeFileSync(join(directory, each, 'file'), randomBytes(bytes), {
              mode: executable ? 0o755 : 0o644,
            })
          }
          const store = await storeIn(folder())
          const digest = await put(store, directory)
          await store.finish(digest)
          assert.ok(await store.unpack(digest))
          const { digest: again } = await packDirectory(store.directoryOf(digest))
          assert.equal(again, digest)
        },
      ),
      { numRuns: 10 },
    )
  })

  it('makes trees that nobody writes to', async () => {
    const store = await storeIn(folder())
    const digest = await put(store, directoryWith('tree', 100_000))
    await store.finish(digest)
    assert.ok(await store.unpack(digest))
    const tree = store.directoryOf(digest)
    assert.equal(statSync(tree).mode & 0o222, 0)
    assert.equal(statSync(join(tree, 'word')).mode & 0o777, 0o444)
    assert.equal(statSync(join(tree, 'bin/run')).mode & 0o777, 0o555)
    assert.equal(readlinkSync(join(tree, 'bin/word')), '../word')
    assert.deepEqual(readdirSync(join(tree, 'empty')), [])
  })

  it('holds a package only when all of it is there, and goes on after a restart with what it has', async () => {
    const path = folder()
    const directory = directoryWith('part', 500_000)
    const before = await storeIn(path)
    const digest = await put(before, directory, [2])
    await assert.rejects(before.finish(digest), /1 chunks of the package are missing/)
    assert.equal(before.held().size, 0)
    const later = await storeIn(path)
    const chunks = chunksOf((await later.manifest(digest)) ?? [])
    assert.deepEqual(await later.missing(chunks), [2])
    await put(later, directory)
    await later.finish(digest)
    assert.deepEqual([...(await storeIn(path)).held()], [digest])
  })

  it('takes no chunk for another one, and drops a damaged one when it is read', async () => {
    const path = folder()
    const store = await storeIn(path)
    const digest = await put(store, directoryWith('damage', 300_000))
    await store.finish(digest)
    const [first] = chunksOf((await store.manifest(digest)) ?? [])
    assert.ok(first !== undefined)
    await assert.rejects(store.write(first[0], new Uint8Array(3)), /not what its digest says/)
    const segment = join(path, 'packages/chunks/00000001')
    const { at = 0 } = scanSegment(segment).found.find((found) => found.digest === first[0]) ?? {}
    const bytes = readFileSync(segment)
    bytes.write('damaged', at)
    writeFileSync(segment, bytes)
    assert.equal(await store.unpack(digest), false)
    assert.equal(store.held().size, 0, 'it is not held any more, so that it is fetched again')
    assert.deepEqual(await store.missing([first]), [0])
  })

  it('makes trees anew after a boot of the machine, since they were never synced', async () => {
    const path = folder()
    const store = await storeIn(path, { boot: 'one' })
    const digest = await put(store, directoryWith('boot', 1000))
    await store.finish(digest)
    await store.unpack(digest)
    assert.equal((await storeIn(path, { boot: 'one' })).unpacked().size, 1)
    assert.equal((await storeIn(path, { boot: 'two' })).unpacked().size, 0)
  })

  it('refuses what has no room, makes room by what nobody needs, and keeps what is needed (S14)', async () => {
    const store = await storeIn(folder(), { budgetBytes: 1_000_000 })
    const first = await put(store, directoryWith('first', 400_000))
    await store.finish(first)
    keep(store, [first])
    await assert.rejects(put(store, directoryWith('second', 400_000)), /have no room.*--package-budget/)
    assert.deepEqual([...store.held()], [first])
    keep(store, [], [first])
    const second = await put(store, directoryWith('second', 400_000))
    await store.finish(second)
    assert.deepEqual([...store.held()], [second])
    assert.ok(store.usage().bytes < 500_000, 'the chunks of the first are gone')
  })

  it('drops trees that nothing runs from, and remembers what services ran from', async () => {
    const path = folder()
    const store = await storeIn(path)
    const digest = await put(store, directoryWith('tidy', 1000))
    await store.finish(digest)
    await store.unpack(digest)
    keep(store, [digest])
    await store.tidy()
    assert.equal(store.unpacked().size, 1)
    store.keep({ needed: new Set([digest]), listed: new Set(), run: new Set() })
    await store.tidy()
    assert.equal(store.unpacked().size, 0)
    assert.equal(store.held().size, 1)
    await store.remember(new Map([['shop/web', [digest]]]))
    assert.deepEqual([...(await storeIn(path)).remembered()], [['shop/web', [digest]]])
  })
})

describe('space', () => {
  const digest = (name: string): PackageDigest => name as PackageDigest
  const DAY_MS = 24 * 3_600_000

  it('lets go of what is neither needed nor listed once it is old, and of the rest oldest first', () => {
    const stored = [
      { digest: digest('needed'), touchedAt: 0 },
      { digest: digest('listed'), touchedAt: 1 },
      { digest: digest('old'), touchedAt: WALL - 2 * DAY_MS },
      { digest: digest('young'), touchedAt: WALL - 1 },
    ]
    const keeping = {
      needed: new Set([digest('needed')]),
      listed: new Set([digest('listed')]),
      run: new Set<PackageDigest>(),
    }
    assert.deepEqual(removable(stored, keeping, WALL), { old: ['old'], spare: ['listed', 'young'] })
  })

  it('keeps some of the disk free, whatever the budget says', () => {
    const room = { budgetBytes: 1e12, freeBytes: 1000, reserveBytes: 500 }
    assert.equal(roomFault(room, 0, 500), null)
    assert.match(roomFault(room, 0, 501)?.message ?? '', /free some space/)
  })
})
