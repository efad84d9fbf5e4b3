// A Unix socket that is safe to take: never somebody else's file, never a living peer's, never open to others. It is
// bound under a second name, restricted, and only then renamed, so that its final name is never seen half made.

import { chmod, lstat, rename, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { TuttiError } from '../../../lib/errors.ts'

/** Longest path that fits sockaddr_un on Linux (108 bytes with its end), less the suffix. */
const PATH_BYTES_MAX = 103
const SUFFIX = '.new'
/** A living peer accepts at once; one that is stopped in a debugger still has its backlog. */
const PROBE_MS = 1000

const isLive = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ path })
    const settle = (live: boolean): void => {
      socket.destroy()
      resolve(live)
    }
    socket.setTimeout(PROBE_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED'))
  })

const inodeOf = async (
  path: string,
): Promise<{ readonly inode: number; readonly isSocket: boolean } | null> => {
  try {
    const found = await lstat(path)
    return { inode: found.ino, isSocket: found.isSocket() }
  } catch {
    return null
  }
}

/** @throws TuttiError `busy` when a peer answers there, `conflict` when something else is there. */
const removeStale = async (path: string): Promise<void> => {
  const found = await inodeOf(path)
  if (found === null) return
  if (!found.isSocket)
    throw new TuttiError('conflict', `${path} exists and is not a socket; move it away, then start again`)
  if (await isLive(path))
    throw new TuttiError('busy', `another peer already serves ${path}; stop it, or use another --data`)
  await unlink(path)
}

/**
 * Listens on `path` with mode 0600 by calling `listen` with the name to bind. Resolves to what removes the socket again.
 * @throws TuttiError `busy`, `conflict` or `invalid` (the path is too long for a socket).
 */
export const listenPrivately = async (
  path: string,
  listen: (path: string) => Promise<unknown>,
): Promise<() => Promise<void>> => {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX)
    throw new TuttiError('invalid', `${path} is too long for a socket; choose a shorter --data`)
  await removeStale(path)
  const temporary = `${path}${SUFFIX}`
  await removeStale(temporary)
  await listen(temporary)
  await chmod(temporary, 0o600)
  const own = await inodeOf(temporary)
  await rename(temporary, path)
  return async () => {
    // Somebody who has replaced it since then keeps his.
    if ((await inodeOf(path))?.inode === own?.inode) await unlink(path).catch(() => undefined)
  }
}
