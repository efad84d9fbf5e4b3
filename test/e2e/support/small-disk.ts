// A disk of a few megabytes (tmpfs), to be filled up. Needs root.

import { execFile, execFileSync } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atExit } from './leftovers.ts'

const run = promisify(execFile)
const BLOCK_BYTES = 64 * 1024

export interface SmallDisk {
  readonly path: string
  /** Takes all the room that is left, down to the last byte. */
  fill(): Promise<void>
  free(): Promise<void>
  /** Unmounts it; whoever used it must have ended. */
  close(): Promise<void>
}

/** Null where disks can be mounted; else one sentence, for a loud skip. */
export const smallDiskMissing = async (): Promise<string | null> => {
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root'
  try {
    // In a mount namespace of its own: only a try.
    await run('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'])
    return null
  } catch (thrown) {
    return `a small disk cannot be mounted here: ${thrown instanceof Error ? thrown.message : String(thrown)}`
  }
}

/** Mounts a disk of so many bytes at `path`. */
export const mountSmallDisk = async (path: string, bytes: number): Promise<SmallDisk> => {
  await mkdir(path, { recursive: true })
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tutti-e2e', path])
  const release = atExit(() => execFileSync('umount', ['--lazy', path], { stdio: 'ignore' }))
  const filler = join(path, 'filler')
  return {
    path,
    async fill() {
      const file = await open(filler, 'a')
      try {
        for (const size of [BLOCK_BYTES, 4096, 1]) {
          const block = Buffer.alloc(size, 1)
          // Until the disk says that it is full.
          while (await wrote(file.write(block))) continue
        }
      } finally {
        await file.close()
      }
    },
    free: () => rm(filler, { force: true }),
    async close() {
      release()
      await run('umount', ['--lazy', path])
    },
  }
}

const wrote = async (writing: Promise<{ readonly bytesWritten: number }>): Promise<boolean> => {
  try {
    return (await writing).bytesWritten > 0
  } catch {
    return false
  }
}
