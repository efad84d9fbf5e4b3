// Chunks in segments: what a crash, a damage or a sweep leaves is what was written and wanted, and nothing else.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { sha256Hex } from '../../../../lib/hash.ts'
import type { ChunkDigest } from '../../../../lib/ids.ts'
import { ChunkSegments, markOf, SEGMENT_BYTES_MAX } from '../../../../node/act/packages/chunk-segments.ts'
import { takeOldChunks } from '../../../../node/act/packages/old-chunks.ts'
import { HEADER_BYTES, scanSegment } from '../../../../node/act/packages/segment-file.ts'
import { CHUNK_BYTES_MAX } from '../../../../node/package/chunker.ts'

const root = mkdtempSync(join(tmpdir(), 'tutti-segments-'))
after(() => rmSync(root, { recursive: true, force: true }))

let made = 0
const folder = (): string => join(root, String((made += 1)))

const opened = async (path: string): Promise<ChunkSegments> => {
  const chunks = new ChunkSegments(path)
  await chunks.start()
  return chunks
}

interface Sample {
  readonly digest: ChunkDigest
  readonly bytes: Uint8Array
}

const sample = (length: number): Sample => {
  const bytes = new Uint8Array(randomBytes(length))
  return { digest: sha256Hex(bytes) as ChunkDigest, bytes }
}

const writeAll = async (chunks: ChunkSegments, samples: readonly Sample[]): Promise<void> => {
  await Promise.all(samples.map(({ digest, bytes }) => chunks.write(digest, bytes.slice())))
}

const isSame = async (chunks: ChunkSegments, { digest, bytes }: Sample): Promise<boolean> =>
  Buffer.from((await chunks.read(digest)) ?? []).equals(bytes)

const marksOf = (samples: readonly Sample[]): ReadonlySet<number> =>
  new Set(samples.map(({ digest }) => markOf(digest)))

const segment = (path: string, number: number): string => join(path, String(number).padStart(8, '0'))

/** Overwrites the beginning of a chunk in place. */
const damage = (file: string, { digest }: Sample): void => {
  const bytes = readFileSync(file)
  bytes.write('damaged', scanSegment(file).found.findLast((found) => found.digest === digest)?.at ?? 0)
  writeFileSync(file, bytes)
}

describe('chunk segments', () => {
  it('give back what was written, after a restart too', async () => {
    const path = folder()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 5000 }), { maxLength: 8 }), async (lengths) => {
        const samples = lengths.map((length) => sample(length + 1))
        const before = await opened(path)
        await writeAll(before, samples)
        for (const chunks of [before, await opened(path)]) {
          for (const each of samples) assert.ok(await isSame(chunks, each))
          assert.equal(chunks.bytes, before.bytes)
        }
      }),
      { numRuns: 8 },
    )
    assert.deepEqual(readdirSync(path), ['00000001'], 'a restart goes on in the last segment')
  })

  it('keep what comes before half a record, at whatever byte a loss of power cut it, and go on (S2)', async () => {
    const path = folder()
    const [first, second, third] = [sample(300), sample(200), sample(100)]
    await writeAll(await opened(path), [first, second])
    const whole = readFileSync(segment(path, 1))
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: HEADER_BYTES + second.bytes.length - 1 }), async (kept) => {
        const torn = folder()
        mkdirSync(torn)
        writeFileSync(segment(torn, 1), whole.subarray(0, HEADER_BYTES + first.bytes.length + kept))
        const chunks = await opened(torn)
        assert.ok(await isSame(chunks, first))
        assert.equal(await chunks.read(second.digest), null)
        await writeAll(chunks, [second, third])
        const later = await opened(torn)
        for (const each of [first, second, third]) assert.ok(await isSame(later, each))
      }),
      { numRuns: 10 },
    )
  })

  it('take zeros at the end, as some file systems leave them, for nothing', async () => {
    const path = folder()
    const [first, second] = [sample(300), sample(200)]
    await writeAll(await opened(path), [first])
    appendFileSync(segment(path, 1), Buffer.alloc(1000))
    await writeAll(await opened(path), [second])
    const later = await opened(path)
    assert.ok((await isSame(later, first)) && (await isSame(later, second)))
  })

  it('count what is damaged as missing, and what was written again as there', async () => {
    const path = folder()
    const chunks = await opened(path)
    const [first, second] = [sample(300), sample(200)]
    await writeAll(chunks, [first, second])
    damage(segment(path, 1), first)
    assert.equal(await chunks.read(first.digest), null)
    assert.deepEqual(chunks.missing([first, second].map(({ digest, bytes }) => [digest, bytes.length])), [0])
    await writeAll(chunks, [first])
    for (const each of [chunks, await opened(path)]) assert.ok(await isSame(each, first))
  })

  it('call durable nothing of an earlier process whose bytes are not there any more (S2)', async () => {
    const path = folder()
    const [first, second] = [sample(300), sample(200)]
    await writeAll(await opened(path), [first, second])
    damage(segment(path, 1), second)
    const later = await opened(path)
    await later.sync([first.digest, second.digest])
    assert.ok(later.has(first.digest, 300))
    assert.equal(later.has(second.digest, 200), false)
  })

  it('refuse bytes of another digest, also when the chunk is here', async () => {
    const chunks = await opened(folder())
    const { digest, bytes } = sample(100)
    await assert.rejects(chunks.write(digest, new Uint8Array(100)), /not what its digest says/)
    await chunks.write(digest, bytes.slice())
    const before = chunks.bytes
    await assert.rejects(chunks.write(digest, new Uint8Array(100)), /not what its digest says/)
    await chunks.write(digest, bytes.slice())
    assert.equal(chunks.bytes, before, 'what is here is not written again')
  })

  it('are so many bytes long and no longer', async () => {
    const path = folder()
    const chunks = await opened(path)
    const samples = Array.from({ length: 66 }, () => sample(CHUNK_BYTES_MAX))
    await writeAll(chunks, samples)
    await chunks.sync(samples.map(({ digest }) => digest))
    const sizes = readdirSync(path).map((name) => statSync(join(path, name)).size)
    assert.equal(sizes.length, 2)
    assert.ok(sizes.every((size) => size <= SEGMENT_BYTES_MAX))
  })

  it('let go of what nobody wants, and keep the rest wherever it lay, durably (S2)', async () => {
    const path = folder()
    const chunks = await opened(path)
    const samples = Array.from({ length: 20 }, () => sample(1000))
    await writeAll(chunks, samples)
    const kept = samples.slice(0, 5)
    await chunks.sweep(marksOf(kept))
    assert.ok(!existsSync(segment(path, 1)))
    assert.equal(chunks.bytes, 5 * (HEADER_BYTES + 1000))
    for (const each of [chunks, await opened(path)])
      for (const one of samples) assert.equal(await isSame(each, one), kept.includes(one))
    await chunks.sweep(new Set())
    assert.equal(chunks.bytes, 0)
    assert.deepEqual(readdirSync(path), [])
  })

  it('leave a segment alone of which little is waste', async () => {
    const path = folder()
    const chunks = await opened(path)
    const samples = Array.from({ length: 20 }, () => sample(1000))
    await writeAll(chunks, samples)
    const before = statSync(segment(path, 1))
    await chunks.sweep(marksOf(samples.slice(1)))
    assert.equal(statSync(segment(path, 1)).ino, before.ino)
    assert.equal(chunks.has(samples[0]?.digest ?? ('' as ChunkDigest), 1000), false)
  })

  it('keep what a sweep, or anybody else, wrote to a segment that the same sweep would have dropped (S2)', async () => {
    const chunks = await opened(folder())
    // One segment is full, and the next one is still written to; most of both is waste.
    const samples = Array.from({ length: 70 }, () => sample(CHUNK_BYTES_MAX))
    await writeAll(chunks, samples)
    const kept = [...samples.slice(0, 1), ...samples.slice(-2)]
    const sweeping = chunks.sweep(marksOf(kept))
    const late = sample(1000)
    await writeAll(chunks, [late])
    await sweeping
    await chunks.sweep(marksOf([...kept, late]))
    for (const one of [...kept, late]) assert.ok(await isSame(chunks, one))
    assert.ok(chunks.bytes < 2 * kept.length * CHUNK_BYTES_MAX)
  })

  it('are read while they are swept, as if they were not', async () => {
    const chunks = await opened(folder())
    const samples = Array.from({ length: 40 }, () => sample(1000))
    await writeAll(chunks, samples)
    const kept = samples.slice(0, 10)
    const sweeping = chunks.sweep(marksOf(kept))
    const reads = await Promise.all(kept.map((each) => isSame(chunks, each)))
    await sweeping
    assert.ok(reads.every(Boolean))
  })

  it('become files: pieces in order, the mode at the end, and none of what is damaged', async () => {
    const path = folder()
    const chunks = await opened(path)
    const samples = Array.from({ length: 40 }, () => sample(CHUNK_BYTES_MAX))
    await writeAll(chunks, samples)
    const list = samples.map(({ digest, bytes }) => [digest, bytes.length] as const)
    const target = join(root, 'file')
    assert.equal(await chunks.copy(list, target, 0o444), null)
    assert.equal(statSync(target).mode & 0o777, 0o444)
    assert.equal(sha256Hex(readFileSync(target)), sha256Hex(Buffer.concat(samples.map(({ bytes }) => bytes))))
    const [, , third] = samples
    assert.ok(third !== undefined)
    damage(segment(path, 1), third)
    assert.equal(await chunks.copy(list, join(root, 'other'), 0o444), third.digest)
    assert.equal(chunks.has(third.digest, CHUNK_BYTES_MAX), false)
  })

  it('say in one sentence that a disk does not take them, and go on when it does', async () => {
    const path = folder()
    const chunks = await opened(path)
    const [first, second] = [sample(100), sample(100)]
    rmSync(path, { recursive: true })
    await assert.rejects(writeAll(chunks, [first]), /a chunk could not be written to/)
    mkdirSync(path)
    await writeAll(chunks, [second])
    assert.ok(await isSame(chunks, second))
    assert.equal(await chunks.read(first.digest), null)
  })

  it('count as missing what a sync could not bring to the disk', async () => {
    const path = folder()
    const chunks = await opened(path)
    const [first, second] = [sample(100), sample(100)]
    await writeAll(chunks, [first])
    await chunks.sync([first.digest])
    await writeAll(chunks, [second])
    rmSync(segment(path, 1))
    await assert.rejects(chunks.sync([second.digest]), /could not be made durable/)
    assert.equal(chunks.has(second.digest, 100), false)
    await writeAll(chunks, [second])
    await chunks.sync([second.digest])
    assert.ok(await isSame(await opened(path), second))
  })

  it('take over the files of earlier versions, but for what is damaged and half written', async () => {
    const path = folder()
    const samples = Array.from({ length: 10 }, () => sample(1000))
    for (const { digest, bytes } of samples) {
      mkdirSync(join(path, digest.slice(0, 2)), { recursive: true })
      writeFileSync(join(path, digest.slice(0, 2), digest), bytes)
    }
    const [damaged, ...rest] = samples
    assert.ok(damaged !== undefined)
    truncateSync(join(path, damaged.digest.slice(0, 2), damaged.digest), 500)
    mkdirSync(join(path, 'drafts'))
    const chunks = await opened(path)
    await takeOldChunks(path, chunks)
    assert.deepEqual(readdirSync(path), ['00000001'])
    for (const each of [chunks, await opened(path)]) {
      for (const one of rest) assert.ok(await isSame(each, one))
      assert.equal(await each.read(damaged.digest), null)
    }
  })
})
