// Packs a directory: walks it in order, cuts its files into chunks, and writes the manifest. The same content gives the same
// digest on any machine: no times, no owners, of modes only whether a file can be run. Holds one piece of one file in memory.
// Leaves out `.git` and what `.tuttiignore` names (the patterns of .gitignore). Sends nothing.

import { open, readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import ignore, { type Ignore } from 'ignore'
import { TuttiError, messageOf } from '../../lib/errors.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { ChunkDigest, PackageDigest } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import { compareStrings, sortedBy } from '../../lib/order.ts'
import { CHUNK_BYTES_MAX, chunkLength } from '../../node/package/chunker.ts'
import {
  encodeManifest,
  linkFault,
  measure,
  pathFault,
  type Chunk,
  type FileEntry,
  type Manifest,
  type PackageContent,
} from '../../node/package/manifest.ts'

const IGNORE_FILE = '.tuttiignore'
/** Never in a package: history, not content. */
const ALWAYS_IGNORED = '.git'
/** Read at once: four of the largest chunks. */
const PIECE_BYTES = 4 * CHUNK_BYTES_MAX
/** Any of the three bits makes a program of a file. */
const EXECUTABLE_BITS = 0o111

/** A directory, packed. Its files are still where they were. */
export interface Packed {
  /** Absolute. */
  readonly directory: string
  readonly digest: PackageDigest
  readonly manifest: Manifest
  /** The manifest as it is sent. */
  readonly text: Uint8Array
  /** Of all files together, and how many entries there are. */
  readonly bytes: number
  readonly files: number
}

const refused = (path: string, why: string): TuttiError =>
  new TuttiError('invalid', `${path} ${why} and cannot be packed; remove it, or name it in ${IGNORE_FILE}`)

/** Packs the directory at an absolute path. @throws TuttiError `invalid`, `too-large`, `unknown`. */
export const packDirectory = async (directory: string): Promise<Packed> => {
  const found = await stat(directory).catch(() => null)
  if (found?.isDirectory() !== true)
    throw new TuttiError('unknown', `there is no directory ${directory} to pack; check the path`)
  const entries: PackageContent[] = []
  await walk(directory, '', await ignoredIn(directory), entries)
  const manifest = sortedBy(entries, ({ path }) => path)
  const { digest, bytes: text } = encodeManifest(manifest)
  return { directory, digest, manifest, text, ...measure(manifest) }
}

const ignoredIn = async (directory: string): Promise<Ignore> => {
  const ignored = ignore().add([ALWAYS_IGNORED, `/${IGNORE_FILE}`])
  try {
    return ignored.add(await readFile(join(directory, IGNORE_FILE), 'utf8'))
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return ignored
    throw new TuttiError('invalid', `${join(directory, IGNORE_FILE)} cannot be read (${messageOf(thrown)})`, {
      cause: thrown,
    })
  }
}

/** Adds what is below `at`, a path within the package; '' is its root. Returns how many entries that were. */
const walk = async (
  directory: string,
  at: string,
  ignored: Ignore,
  entries: PackageContent[],
): Promise<number> => {
  const before = entries.length
  const found = await readdir(join(directory, at), { withFileTypes: true, encoding: 'buffer' })
  const named = found.map((each) => ({ each, name: nameOf(join(directory, at), each.name) }))
  for (const { each, name } of named.toSorted((a, b) => compareStrings(a.name, b.name))) {
    const path = at === '' ? name : `${at}/${name}`
    if (ignored.ignores(each.isDirectory() ? `${path}/` : path)) continue
    const wrong = pathFault(path)
    if (wrong !== null) throw refused(path, wrong)
    if (entries.length >= LIMITS.packageEntriesMax)
      throw new TuttiError(
        'too-large',
        `${directory} has more than ${LIMITS.packageEntriesMax} files; leave some out with ${IGNORE_FILE}`,
      )
    if (each.isDirectory()) {
      if ((await walk(directory, path, ignored, entries)) === 0) entries.push({ kind: 'directory', path })
    } else if (each.isSymbolicLink()) entries.push(await linkAt(directory, path))
    else if (each.isFile()) entries.push(await fileAt(directory, path))
    else throw refused(path, 'is neither file, directory nor link')
  }
  return entries.length - before
}

/** @throws TuttiError `invalid` for a name that is no UTF-8. */
const nameOf = (directory: string, bytes: Uint8Array): string => {
  const name = Buffer.from(bytes).toString('utf8')
  if (Buffer.from(name).equals(bytes)) return name
  throw refused(join(directory, name), 'has a name that is not UTF-8')
}

const linkAt = async (directory: string, path: string): Promise<PackageContent> => {
  const target = await readlink(join(directory, path))
  const wrong = linkFault(path, target)
  if (wrong !== null) throw refused(path, wrong)
  return { kind: 'link', path, target }
}

const fileAt = async (directory: string, path: string): Promise<FileEntry> => {
  const file = join(directory, path)
  try {
    const handle = await open(file, 'r')
    try {
      const { mode } = await handle.stat()
      const chunks: Chunk[] = []
      let bytes = 0
      for await (const chunk of chunksOfFile(handle)) {
        chunks.push([sha256Hex(chunk) as ChunkDigest, chunk.length])
        bytes += chunk.length
      }
      return { kind: 'file', path, executable: (mode & EXECUTABLE_BITS) !== 0, bytes, chunks }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof TuttiError) throw cause
    throw new TuttiError('invalid', `${file} cannot be read (${messageOf(cause)}); mend that and try again`, {
      cause,
    })
  }
}

/** A file's chunks; each is a view that is good until the next. */
async function* chunksOfFile(handle: Awaited<ReturnType<typeof open>>): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(PIECE_BYTES)
  let start = 0
  let end = 0
  let isWhole = false
  for (;;) {
    while (!isWhole && end - start < CHUNK_BYTES_MAX) {
      if (start > 0) {
        buffer.copyWithin(0, start, end)
        end -= start
        start = 0
      }
      const { bytesRead } = await handle.read(buffer, end, buffer.length - end)
      end += bytesRead
      isWhole = bytesRead === 0
    }
    const length = chunkLength(buffer.subarray(start, end))
    if (length === 0) return
    yield buffer.subarray(start, start + length)
    start += length
  }
}
