// Makes many new files durable at once. A sync of each is a commit of the file system's journal each, tens of milliseconds on a
// busy disk; a package has a thousand of them. syncfs(2) is one for all, also for what other programs wrote there. Node.js has
// no such call, but sync(1) of coreutils and busybox has (`-f`).

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Writes the file system that a directory lies on to its disk. Resolves false where that cannot be had. */
export const syncDisk = async (directory: string): Promise<boolean> => {
  try {
    await run('sync', ['-f', directory])
    return true
  } catch {
    return false
  }
}
