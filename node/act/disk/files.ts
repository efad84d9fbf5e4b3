// The Files port on a real directory, by node:fs. Each method is one system call or a few; when they are called, and
// what to do when one fails, is crdt/log's to decide.

import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCodeOf, type Files, type OpenFile } from '../../../crdt/log/files.ts'

/** The peer's own user alone: records tell who runs what, and the key lies beside them. */
const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600

/** The files of one directory, which need not exist yet. */
export const directoryFiles = (directory: string): Files => ({
  where: directory,
  async list() {
    await ensureDirectory(directory)
    return readdir(directory)
  },
  async read(name) {
    return readOptional(join(directory, name))
  },
  async open(name, mode) {
    return openFile(await open(join(directory, name), mode === 'fresh' ? 'w+' : 'r+', FILE_MODE))
  },
  rename: (from, to) => rename(join(directory, from), join(directory, to)),
  remove: (name) => rm(join(directory, name), { force: true }),
  syncDirectory: () => syncDirectory(directory),
})

/** The file's bytes, or null when there is no such file. */
export const readOptional = async (path: string): Promise<Uint8Array | null> => {
  try {
    const bytes = await readFile(path)
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return null
    throw cause
  }
}

/** Creates the directory and what is missing above it; each new name is durable when this resolves. */
export const ensureDirectory = async (directory: string): Promise<void> => {
  const first = await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
  if (first === undefined) return
  for (let created = directory; ; created = dirname(created)) {
    await syncDirectory(dirname(created))
    if (created === first || created === dirname(created)) return
  }
}

/** Makes what happened to names in the directory durable. */
export const syncDirectory = async (directory: string): Promise<void> => {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Writes all bytes at that offset: one call may write fewer than it was given. */
export const writeFully = async (handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> => {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}

const openFile = (handle: FileHandle): OpenFile => ({
  write: (bytes, at) => writeFully(handle, bytes, at),
  truncate: (length) => handle.truncate(length),
  sync: (scope) => (scope === 'bytes' ? handle.datasync() : handle.sync()),
  close: () => handle.close(),
})
