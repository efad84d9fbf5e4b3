import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { sha256Hex } from '../../../lib/hash.ts'
import type { ChunkDigest } from '../../../lib/ids.ts'
import { canonicalJson, sortedBy } from '../../../lib/order.ts'
import {
  chunksOf,
  decodeManifest,
  encodeManifest,
  linkFault,
  MANIFEST_FORMAT,
  measure,
  pathFault,
  type Chunk,
  type PackageContent,
} from '../../../node/package/manifest.ts'

const chunk = (name: string, bytes = 10): Chunk => [sha256Hex(name) as ChunkDigest, bytes]
const file = (path: string, ...chunks: readonly Chunk[]): PackageContent => ({
  kind: 'file',
  path,
  executable: false,
  bytes: chunks.reduce((sum, [, bytes]) => sum + bytes, 0),
  chunks,
})
const refuses = (entries: readonly PackageContent[]): void => {
  assert.throws(() => encodeManifest(entries), TuttiError)
}

describe('manifest', () => {
  it('reads back to what was written, and has one digest', () => {
    const name = fc.stringMatching(/^[a-z0-9._-]{1,12}$/).filter((text) => pathFault(text) === null)
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { maxLength: 20 }),
        fc.array(fc.string(), { maxLength: 4 }),
        (names, seeds) => {
          const entries = sortedBy(
            names.map((path): PackageContent => file(`d/${path}`, ...seeds.map((seed) => chunk(seed)))),
            ({ path }) => path,
          )
          const { bytes, digest } = encodeManifest(entries)
          assert.deepEqual(decodeManifest(bytes), entries)
          assert.equal(encodeManifest(decodeManifest(bytes)).digest, digest)
        },
      ),
    )
  })

  it('names each chunk once, in the order in which the files need them', () => {
    const entries = [file('a', chunk('1'), chunk('2')), file('b', chunk('2'), chunk('3'), chunk('1'))]
    assert.deepEqual(chunksOf(entries), [chunk('1'), chunk('2'), chunk('3')])
    assert.deepEqual(measure(entries), { bytes: 50, files: 2 })
  })

  it('refuses paths that lead out of the package, or are no plain names', () => {
    for (const path of [
      '',
      '/etc/passwd',
      '../x',
      'a/../../x',
      'a//b',
      './a',
      'a/.',
      'a\u0000b',
      'a\nb',
      'x'.repeat(256),
    ])
      refuses([file(path)])
  })

  it('refuses links that lead out of the package, also by way of other links', () => {
    for (const target of ['/etc', '..', '../x', 'a/../../x', 'a/..', '']) {
      assert.notEqual(linkFault('link', target), null, target)
      refuses([{ kind: 'link', path: 'link', target }])
    }
    assert.equal(linkFault('a/b/link', '../../c'), null)
    assert.notEqual(linkFault('a/b/link', '../../../c'), null)
  })

  it('refuses what lies below a link or a file: unpacking would write through it', () => {
    refuses([{ kind: 'link', path: 'a', target: 'b' }, file('a/x')])
    refuses([file('a'), file('a/x')])
  })

  it('refuses an order that is not its own, and a path twice', () => {
    refuses([file('b'), file('a')])
    refuses([file('a'), file('a')])
  })

  it('refuses a chunk of two lengths and a file that is not as long as its chunks', () => {
    refuses([file('a', chunk('1', 10)), file('b', chunk('1', 11))])
    refuses([{ kind: 'file', path: 'a', executable: false, bytes: 9, chunks: [chunk('1', 10)] }])
  })

  it('takes one text for one content', () => {
    const text = canonicalJson({ format: MANIFEST_FORMAT, entries: [] })
    assert.deepEqual(decodeManifest(utf8(text)), [])
    assert.throws(() => decodeManifest(utf8(`${text} `)), TuttiError)
    assert.throws(() => decodeManifest(utf8('{"format":"tutti package 2","entries":[]}')), TuttiError)
  })

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), (bytes) => {
        try {
          decodeManifest(bytes)
        } catch (thrown) {
          assert.ok(thrown instanceof TuttiError)
        }
      }),
    )
  })
})
