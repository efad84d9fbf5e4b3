// The manifest of a package: what is in it, as canonical JSON whose SHA-256 is the package's digest. No times, no owners, no
// order but that of the paths, so the same content has the same digest on any machine. What does not read back to exactly the
// same text, or could write outside of its directory when unpacked, is no manifest. Deliberately absent: any file.

import { sha256Hex } from '../../lib/hash.ts'
import { textOf, utf8, utf8Length } from '../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { ChunkDigest, PackageDigest } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import { canonicalJson, compareStrings } from '../../lib/order.ts'
import { CHUNK_BYTES_MAX } from './chunker.ts'

export const MANIFEST_FORMAT = 'tutti package 1'

/** A piece of a file; its bytes are found by their digest. */
export type Chunk = readonly [digest: ChunkDigest, bytes: number]

export interface FileEntry {
  readonly kind: 'file'
  /** Relative, with `/`, without `.` and `..`. */
  readonly path: string
  /** Mode 0755; else 0644. Nothing more of a mode is kept. */
  readonly executable: boolean
  readonly bytes: number
  /** In order; none of an empty file. */
  readonly chunks: readonly Chunk[]
}

/** A symbolic link to somewhere in the package. */
export interface LinkEntry {
  readonly kind: 'link'
  readonly path: string
  /** Relative to the link's directory: any number of `..`, then names. */
  readonly target: string
}

/** A directory that holds nothing; others come with what they hold. */
export interface DirectoryEntry {
  readonly kind: 'directory'
  readonly path: string
}

export type PackageContent = FileEntry | LinkEntry | DirectoryEntry

/** Sorted by path, in code-unit order. */
export type Manifest = readonly PackageContent[]

export interface NamedManifest {
  readonly digest: PackageDigest
  readonly bytes: Uint8Array
}

const PATH_BYTES_MAX = 1024
const SEGMENT_BYTES_MAX = 255
const HEX_DIGEST = /^[0-9a-f]{64}$/

/** Why a path cannot be in a package, in words that follow it; null: it can. */
export const pathFault = (path: string): string | null => {
  if (utf8Length(path) > PATH_BYTES_MAX) return `is longer than ${PATH_BYTES_MAX} bytes`
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.' || segment === '..') return 'is not a plain relative path'
    if (utf8Length(segment) > SEGMENT_BYTES_MAX)
      return `has a name of more than ${SEGMENT_BYTES_MAX} bytes in it`
    // Control characters in names are mistakes at best, and tricks on whoever lists them at worst.
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u001f\u007f]/.test(segment)) return 'has control characters in it'
    if (segment.toWellFormed() !== segment) return 'is no valid text'
  }
  return null
}

/**
 * Why a link cannot be in a package, in words that follow its path; null: it can. Ups first and names after them: so that, as
 * no path leads through a link, a link can only lead to somewhere inside, also by way of other links.
 */
export const linkFault = (path: string, target: string): string | null => {
  if (target.startsWith('/')) return `is a link to ${target}, outside of the package`
  const segments = target.split('/').filter((segment) => segment !== '.' && segment !== '')
  const ups = segments.findIndex((segment) => segment !== '..')
  const rest = ups < 0 ? [] : segments.slice(ups)
  if ((ups < 0 ? segments.length : ups) > path.split('/').length - 1)
    return `is a link to ${target}, outside of the package`
  if (rest.includes('..')) return `is a link to ${target}, which goes up after it went down`
  return target === '' || (rest.length > 0 && pathFault(rest.join('/')) !== null)
    ? 'is a link whose target is no plain path'
    : null
}

/** The manifest's text and digest. @throws TuttiError `invalid` or `too-large` when it is none. */
export const encodeManifest = (manifest: Manifest): NamedManifest => {
  const bytes = utf8(textOfManifest(manifest))
  decodeManifest(bytes)
  return { digest: digestOfManifest(bytes), bytes }
}

const textOfManifest = (manifest: Manifest): string =>
  canonicalJson({ format: MANIFEST_FORMAT, entries: manifest.map((entry) => ({ ...entry })) })

export const digestOfManifest = (bytes: Uint8Array): PackageDigest => sha256Hex(bytes) as PackageDigest

/** Reads and checks a manifest. @throws TuttiError `invalid` or `too-large`, for whatever bytes. */
export const decodeManifest = (bytes: Uint8Array): Manifest => {
  if (bytes.length > LIMITS.manifestBytesMax)
    throw new TuttiError(
      'too-large',
      'the package has too many files or chunks; leave some out with .tuttiignore, or split it',
    )
  const text = textOf(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (thrown) {
    throw new TuttiError('invalid', `a manifest is not JSON: ${messageOf(thrown)}`)
  }
  const manifest = entriesOf(value)
  if (textOfManifest(manifest) !== text) throw new TuttiError('invalid', 'a manifest is not in its one form')
  checkWhole(manifest)
  return manifest
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const fault = (why: string): TuttiError => new TuttiError('invalid', `a manifest is malformed: ${why}`)

const entriesOf = (value: unknown): Manifest => {
  if (!isRecord(value) || value['format'] !== MANIFEST_FORMAT || !Array.isArray(value['entries']))
    throw new TuttiError('invalid', 'the bytes are no manifest that this version of tutti reads')
  const { entries } = value as { readonly entries: readonly unknown[] }
  if (entries.length > LIMITS.packageEntriesMax)
    throw new TuttiError('too-large', `a package has at most ${LIMITS.packageEntriesMax} files; split it`)
  return entries.map(entryOf)
}

const entryOf = (value: unknown): PackageContent => {
  if (!isRecord(value)) throw fault('an entry is no object')
  const { kind, path, target, executable, bytes, chunks } = value
  if (typeof path !== 'string') throw fault('an entry has no path')
  const wrong = pathFault(path)
  if (wrong !== null) throw fault(`${path} ${wrong}`)
  switch (kind) {
    case 'directory':
      return { kind, path }
    case 'link': {
      if (typeof target !== 'string') throw fault(`${path} has no target`)
      const led = linkFault(path, target)
      if (led !== null) throw fault(`${path} ${led}`)
      return { kind, path, target }
    }
    case 'file': {
      if (typeof executable !== 'boolean' || !isLength(bytes) || !Array.isArray(chunks))
        throw fault(`${path} is incomplete`)
      const pieces = (chunks as readonly unknown[]).map(chunkOf)
      if (pieces.reduce((sum, [, length]) => sum + length, 0) !== bytes)
        throw fault(`${path} is not as long as its chunks`)
      return { kind, path, executable, bytes, chunks: pieces }
    }
    default:
      throw fault(`${path} is of an unknown kind`)
  }
}

const isLength = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

const chunkOf = (value: unknown): Chunk => {
  if (!Array.isArray(value) || value.length !== 2) throw fault('a chunk is no pair')
  const [digest, length] = value as readonly unknown[]
  if (typeof digest !== 'string' || !HEX_DIGEST.test(digest)) throw fault('a chunk has no digest')
  if (!isLength(length) || length === 0 || length > CHUNK_BYTES_MAX) throw fault('a chunk has no length')
  return [digest as ChunkDigest, length]
}

/** Sorted, no path twice, nothing below what is no directory, one length a digest, not too large. */
const checkWhole = (manifest: Manifest): void => {
  const leaves = new Set<string>()
  const lengths = new Map<ChunkDigest, number>()
  let before: string | null = null
  let bytes = 0
  for (const entry of manifest) {
    if (before !== null && compareStrings(before, entry.path) >= 0) throw fault('its paths are not in order')
    before = entry.path
    leaves.add(entry.path)
    if (entry.kind !== 'file') continue
    bytes += entry.bytes
    for (const [digest, length] of entry.chunks) {
      if ((lengths.get(digest) ?? length) !== length) throw fault('a chunk has two lengths')
      lengths.set(digest, length)
    }
  }
  if (bytes > LIMITS.packageBytesMax)
    throw new TuttiError('too-large', `a package has at most ${LIMITS.packageBytesMax} bytes; split it`)
  for (const { path } of manifest)
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1))
      if (leaves.has(path.slice(0, slash))) throw fault(`${path} lies in what is no directory`)
}

/** Each chunk once, in the order in which the files need them. Their places in it are how peers name them. */
export const chunksOf = (manifest: Manifest): readonly Chunk[] => {
  const known = new Map<ChunkDigest, Chunk>()
  for (const entry of manifest)
    if (entry.kind === 'file')
      for (const chunk of entry.chunks) if (!known.has(chunk[0])) known.set(chunk[0], chunk)
  return [...known.values()]
}

/** What a manifest amounts to. */
export const measure = (manifest: Manifest): { readonly bytes: number; readonly files: number } => ({
  bytes: manifest.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.bytes : 0), 0),
  files: manifest.length,
})
