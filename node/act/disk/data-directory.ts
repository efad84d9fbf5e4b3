// The data directory of a peer (`--data DIR`): where everything in it lies, the lock that keeps a second peer off it, and
// small values that are replaced atomically. What the values mean is their owners' affair (identity.ts and others).

import { realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { storageError, systemCodeOf } from '../../../crdt/log/files.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { ensureDirectory, readOptional } from './files.ts'
import { lockDirectory, LOCK_FILE } from './lock.ts'
import { DRAFT, replaceFile } from './replace-file.ts'

/** Absolute paths of what a data directory holds. */
export interface DataPaths {
  readonly directory: string
  /** Unix socket of the API. */
  readonly socket: string
  /** The DiskStore's. */
  readonly log: string
  /** Records of instances, written before each spawn. */
  readonly instances: string
  /** What instances print. */
  readonly output: string
  /** Packages, and what instances run from of them. */
  readonly packages: string
  /** Working directories of instances that have none of their own. */
  readonly work: string
  /** Repositories that are followed, and builds of them; made when there is one. */
  readonly builds: string
}

export interface DataDirectory extends DataPaths {
  /** A small value; null when it was never written. @throws TuttiError `storage`. */
  readSmall(name: string): Promise<Uint8Array | null>
  /** Replaces a small value: after any crash it is the old one or the new one. Durable when it resolves. @throws TuttiError `storage`. */
  writeSmall(name: string, bytes: Uint8Array): Promise<void>
  /** Finishes writes under way and lets another peer have the directory. */
  close(): Promise<void>
}

/** A small value is a key, a counter, a page of JSON. More than this belongs into the log. */
const SMALL_BYTES_MAX = 1024 * 1024
/** `sun_path` holds 108 bytes with the closing zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107
const SMALL_NAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/
const RESERVED = new Set([
  LOCK_FILE,
  'tutti.sock',
  'log',
  'instances',
  'output',
  'packages',
  'work',
  'builds',
])

/** Where things lie in a data directory; needs no such directory to exist. */
export const dataPathsOf = (directory: string): DataPaths => {
  const root = resolve(directory)
  return {
    directory: root,
    socket: join(root, 'tutti.sock'),
    log: join(root, 'log'),
    instances: join(root, 'instances'),
    output: join(root, 'output'),
    packages: join(root, 'packages'),
    work: join(root, 'work'),
    builds: join(root, 'builds'),
  }
}

/**
 * Creates the directory where it is missing (mode 0700) and locks it for this process.
 * @throws TuttiError `busy` when another peer runs on it, `invalid` for a path that cannot be one, `storage`.
 */
export const openDataDirectory = async (directory: string): Promise<DataDirectory> => {
  const root = await createRoot(resolve(directory))
  const paths = dataPathsOf(root)
  const socketBytes = Buffer.byteLength(paths.socket)
  if (socketBytes > SOCKET_PATH_BYTES_MAX)
    throw new TuttiError(
      'invalid',
      `${root} is too long for a socket in it (${socketBytes} of ${SOCKET_PATH_BYTES_MAX} bytes); choose a shorter --data`,
    )
  const lock = await lockDirectory(root)
  try {
    for (const folder of [paths.log, paths.instances, paths.output, paths.work]) await ensureDirectory(folder)
  } catch (cause) {
    await lock.release()
    throw storageError(cause, `${root} could not be prepared`)
  }
  let writes: Promise<unknown> = Promise.resolve()
  return {
    ...paths,
    readSmall: (name) => readSmall(root, name),
    async writeSmall(name, bytes) {
      // One after the other: two writers of one value would share its draft.
      const written = writes.then(() => writeSmall(root, name, bytes))
      writes = written.catch(() => undefined)
      await written
    },
    async close() {
      await writes
      await lock.release()
    },
  }
}

const createRoot = async (path: string): Promise<string> => {
  try {
    await ensureDirectory(path)
    // Two names of one directory must not become two locks' messages, nor two sockets.
    return await realpath(path)
  } catch (cause) {
    if (['EEXIST', 'ENOTDIR'].includes(systemCodeOf(cause)))
      throw new TuttiError('invalid', `${path} is not a directory; choose another --data`, { cause })
    throw storageError(cause, `${path} could not be created`)
  }
}

const checkName = (name: string): void => {
  if (!SMALL_NAME.test(name) || name.endsWith(DRAFT) || RESERVED.has(name))
    throw new TuttiError('invalid', `'${name}' is not a name for a small value`)
}

const readSmall = async (root: string, name: string): Promise<Uint8Array | null> => {
  checkName(name)
  try {
    return await readOptional(join(root, name))
  } catch (cause) {
    throw storageError(cause, `${join(root, name)} could not be read`)
  }
}

const writeSmall = async (root: string, name: string, bytes: Uint8Array): Promise<void> => {
  checkName(name)
  if (bytes.length > SMALL_BYTES_MAX)
    throw new TuttiError(
      'too-large',
      `${name} would have ${bytes.length} bytes, more than ${SMALL_BYTES_MAX}`,
    )
  const path = join(root, name)
  try {
    await replaceFile(path, bytes)
  } catch (cause) {
    throw storageError(cause, `${path} could not be written`)
  }
}
