// The lock that keeps a second peer off a data directory: flock(2) on `lock` in it, held by an open file description of
// this process. Node.js has no flock, but flock(1) (util-linux, busybox) locks a descriptor that it inherits, and such a
// lock belongs to the description, not to the program that took it; so the program takes it and goes, and we keep it.
//
// Why not a file with pid and start time: whoever finds it stale has to replace it, two that do so at once need a lock
// for that; and a pid means nothing in another container's pid namespace. Why not a socket's name: an abstract one is
// invisible in another network namespace and free for any user to squat on, a named one stays behind after kill -9.
// The kernel's lock has none of this: atomic, gone with the process however it ends, valid across namespaces. Instances
// do not inherit it (Node.js opens files close-on-exec). The file is never removed, since locking a removed file locks
// nobody out. The pid in it is for the message only.

import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { storageError, systemCodeOf } from '../../../crdt/log/files.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { readOptional, writeFully } from './files.ts'

export interface DirectoryLock {
  /** Lets go; also happens when the process ends in whatever way. */
  release(): Promise<void>
}

export const LOCK_FILE = 'lock'

/** The holder writes its pid right after it locks. Ten looks a few milliseconds apart outlast that. */
const PID_LOOKS_MAX = 10
const PID_LOOK_PAUSE_MS = 10

/** Locks the directory for this process. @throws TuttiError `busy` when another peer holds it, `storage`. */
export const lockDirectory = async (directory: string): Promise<DirectoryLock> => {
  const handle = await opened(directory)
  try {
    if (!(await flock(handle.fd))) throw await heldBy(directory)
    const pid = new TextEncoder().encode(`${process.pid}\n`)
    await handle.truncate(0)
    await writeFully(handle, pid, 0)
  } catch (cause) {
    await handle.close()
    throw storageError(cause, `${directory} could not be locked`)
  }
  return {
    async release() {
      // So that nobody reads the pid of a peer that is gone; without the lock the file says nothing anyway.
      await handle.truncate(0).catch(() => undefined)
      await handle.close()
    },
  }
}

const opened = async (directory: string): Promise<FileHandle> => {
  try {
    return await open(join(directory, LOCK_FILE), constants.O_RDWR | constants.O_CREAT, 0o600)
  } catch (cause) {
    throw storageError(cause, `${directory} could not be locked`)
  }
}

/** Whether the descriptor's lock is ours now; false when another process has it. */
const flock = async (fd: number): Promise<boolean> => {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  // The descriptor is 3 in the child: 0 to 2 are its standard ones.
  const child = spawn('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
  child.once('error', (cause) =>
    reject(
      systemCodeOf(cause) === 'ENOENT'
        ? new TuttiError('storage', "the program 'flock' was not found; install util-linux and try again")
        : cause,
    ),
  )
  child.once('exit', (code, signal) => {
    if (code === 0) resolve(true)
    else if (code === 1) resolve(false)
    else reject(new TuttiError('storage', `flock ended with ${signal ?? `status ${code}`}`))
  })
  return promise
}

const heldBy = async (directory: string): Promise<TuttiError> => {
  const pid = await holderOf(directory)
  const holder = pid === null ? 'another peer' : `another peer (pid ${pid})`
  return new TuttiError('busy', `${holder} already runs on ${directory}; stop it or choose another --data`)
}

/** The holder's pid; null when it has not said so, or is not visible from here. */
const holderOf = async (directory: string): Promise<number | null> => {
  for (let look = 0; look < PID_LOOKS_MAX; look += 1) {
    if (look > 0) await pause(PID_LOOK_PAUSE_MS)
    const bytes = await readOptional(join(directory, LOCK_FILE))
    const pid = Number(new TextDecoder().decode(bytes ?? new Uint8Array()))
    if (Number.isSafeInteger(pid) && pid > 0 && isRunning(pid)) return pid
  }
  return null
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return systemCodeOf(cause) === 'EPERM'
  }
}
