// Trees: packages as the directories that instances run from. One for each package, shared by all its instances, read-only
// (files 0444 or 0555, directories 0555), made beside its place and renamed into it. Its files are not synced: after a boot of
// the machine all trees are made anew, from chunks that are verified as they are read.

import { chmod, mkdir, readdir, rename, rm, symlink, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { storageError } from '../../../crdt/log/files.ts'
import type { ChunkDigest, PackageDigest } from '../../../lib/ids.ts'
import type { Chunk, Manifest } from '../../package/manifest.ts'
import { readOptional } from '../disk/files.ts'
import { atOnce } from './at-once.ts'

/** Everybody may read: an instance may run as another user. */
const TREE_MODE = 0o555
const FILE_MODE = 0o444
const PROGRAM_MODE = 0o555
/** While it is made. */
const DRAFT_MODE = 0o755
/** Who does not know a tree's digest finds nothing. */
const FOLDER_MODE = 0o711
const BOOT_FILE = 'boot'
const DRAFT = '.draft'
const DIGEST = /^[0-9a-f]{64}$/
/** Files written at once: the packages' thread has the next one before it, and whoever else asks it for something waits little. */
const FILES_MAX = 2

/** Writes chunks one behind the other into a new file of that mode, verified. Resolves with one that is missing; null: none is. */
type Copy = (chunks: readonly Chunk[], target: string, mode: number) => Promise<ChunkDigest | null>

export interface TreesOptions {
  /** Absolute, and its own. */
  readonly folder: string
  /** The machine's boot id. */
  readonly boot: string
}

export class Trees {
  readonly #options: TreesOptions
  readonly #bytes = new Map<PackageDigest, number>()
  #there: ReadonlySet<PackageDigest> = new Set()

  constructor(options: TreesOptions) {
    this.#options = options
  }

  /** Those that are there. The same set until it changes. */
  there(): ReadonlySet<PackageDigest> {
    return this.#there
  }

  /** What they take on the disk, as long as nobody else changed them. */
  get bytes(): number {
    return [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  /** Keeps the trees of this boot, drops those of an earlier one and what is half made. */
  async start(): Promise<void> {
    const { folder, boot } = this.#options
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
    await chmod(folder, FOLDER_MODE)
    const file = join(folder, BOOT_FILE)
    const isSameBoot = Buffer.from((await readOptional(file)) ?? []).toString('utf8') === boot
    for (const name of await readdir(folder)) {
      if (name === BOOT_FILE) continue
      if (isSameBoot && DIGEST.test(name)) this.#bytes.set(name as PackageDigest, 0)
      else await removeTree(join(folder, name))
    }
    if (!isSameBoot) await writeFile(file, boot)
    this.#tell()
  }

  /** What a tree takes, once its manifest has been read: a start does not know. */
  note(digest: PackageDigest, bytes: number): void {
    if (this.#bytes.has(digest)) this.#bytes.set(digest, bytes)
  }

  directoryOf(digest: PackageDigest): string {
    return join(this.#options.folder, digest)
  }

  /** Whether it still is there: somebody may have removed it. */
  async look(digest: PackageDigest): Promise<boolean> {
    const isThere = await stat(this.directoryOf(digest)).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (!isThere && this.#bytes.delete(digest)) this.#tell()
    return isThere
  }

  /**
   * Makes a tree; resolves with the chunk that is missing, or null when all is there. @throws TuttiError `storage`.
   */
  async make(digest: PackageDigest, manifest: Manifest, copy: Copy): Promise<ChunkDigest | null> {
    const target = this.directoryOf(digest)
    const draft = `${target}${DRAFT}`
    try {
      await removeTree(draft)
      await mkdir(draft, { mode: DRAFT_MODE })
      const missing = await this.#fill(draft, manifest, copy)
      if (missing !== null) {
        await removeTree(draft)
        return missing
      }
      await close(draft, manifest)
      await removeTree(target)
      await rename(draft, target)
    } catch (thrown) {
      await removeTree(draft).catch(() => undefined)
      throw storageError(thrown, `package ${digest.slice(0, 12)} could not be unpacked to ${target}`)
    }
    this.#bytes.set(
      digest,
      manifest.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.bytes : 0), 0),
    )
    this.#tell()
    return null
  }

  async remove(digest: PackageDigest): Promise<void> {
    if (!this.#bytes.delete(digest)) return
    this.#tell()
    const target = this.directoryOf(digest)
    // Out of its place first: half a tree is none.
    await rename(target, `${target}${DRAFT}`).catch(() => undefined)
    await removeTree(`${target}${DRAFT}`)
  }

  async #fill(draft: string, manifest: Manifest, copy: Copy): Promise<ChunkDigest | null> {
    for (const directory of directoriesOf(manifest))
      await mkdir(join(draft, directory), { recursive: true, mode: DRAFT_MODE })
    let missing: ChunkDigest | null = null
    const files = manifest.filter((entry) => entry.kind === 'file')
    await atOnce(FILES_MAX, files, async ({ path, chunks, executable }) => {
      if (missing !== null) return
      missing = (await copy(chunks, join(draft, path), executable ? PROGRAM_MODE : FILE_MODE)) ?? missing
    })
    for (const entry of manifest)
      if (entry.kind === 'link' && missing === null) await symlink(entry.target, join(draft, entry.path))
    return missing
  }

  #tell(): void {
    this.#there = new Set(this.#bytes.keys())
  }
}

/** Every directory that a manifest's paths need, parents first. */
const directoriesOf = (manifest: Manifest): readonly string[] => {
  const found = new Set<string>()
  for (const { kind, path } of manifest) {
    const parts = path.split('/')
    if (kind !== 'directory') parts.pop()
    for (let depth = 1; depth <= parts.length; depth += 1) found.add(parts.slice(0, depth).join('/'))
  }
  return [...found].toSorted()
}

/** Makes the directories read-only, the inner ones first. */
const close = async (draft: string, manifest: Manifest): Promise<void> => {
  for (const directory of directoriesOf(manifest).toReversed()) await chmod(join(draft, directory), TREE_MODE)
  await chmod(draft, TREE_MODE)
}

/** Removes a tree, whose directories must be made writable first. */
const removeTree = async (path: string): Promise<void> => {
  try {
    await rm(path, { recursive: true, force: true })
  } catch {
    await openUp(path)
    await rm(path, { recursive: true, force: true })
  }
}

const openUp = async (path: string): Promise<void> => {
  await chmod(path, DRAFT_MODE)
  for (const entry of await readdir(path, { withFileTypes: true }))
    if (entry.isDirectory()) await openUp(join(path, entry.name))
}
