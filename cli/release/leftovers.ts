// What a release that was killed left behind: its directory, git's note of its worktree, and commands that still run in
// it. Directories carry their owner's pid and start time in their name, so that one in use is never touched; processes
// carry the directory in their environment.

import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RELEASE_MARK } from '../../lib/release-mark.ts'
import type { Git } from './git.ts'

/** The checkout within a release's directory. */
export const CHECKOUT = 'source'

const DIRECTORY = /^tutti-release-(\d+)-(\d+)-[A-Za-z0-9]+$/

/** When a process started, in clock ticks since boot (proc(5), field 22); null: there is none. */
const startOf = (pid: number | string): string | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = 'X', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' || state === 'X' ? null : (rest[18] ?? null)
  } catch {
    return null
  }
}

/** Begins the name of a directory of this process. */
export const ownPrefix = (): string => `tutti-release-${process.pid}-${startOf(process.pid) ?? '0'}-`

/** Whether a path is a release's directory whose process is no more. */
const isLeft = (path: string): boolean => {
  const [, pid = '', start] = DIRECTORY.exec(basename(path)) ?? []
  return pid !== '' && startOf(pid) !== start
}

/** Kills what runs with a release's mark. Processes of other users are not even seen. */
export const killMarked = (directory: string): void => {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (Number(pid) === process.pid) continue
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${RELEASE_MARK}=${directory}`))
        continue
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // Gone meanwhile, or another user's.
    }
  }
}

const entriesOf = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory).map((name) => join(directory, name))
  } catch {
    return []
  }
}

/** Removes what earlier releases left in `base` and in the repository's list of worktrees. Never throws. */
export const removeLeftovers = async (git: Git, base: string): Promise<void> => {
  const listed = (await git.ask('worktree', 'list', '--porcelain')) ?? ''
  const noted = listed
    .split('\n')
    .filter((line) => line.startsWith('worktree '))
    .map((line) => line.slice('worktree '.length))
    .filter((path) => basename(path) === CHECKOUT)
  const left = new Set([...entriesOf(base), ...noted.map(dirname)].filter(isLeft))
  for (const directory of left) {
    killMarked(directory)
    const checkout = join(directory, CHECKOUT)
    if (noted.includes(checkout)) await git.ask('worktree', 'remove', '--force', '--force', checkout)
    await rm(directory, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
  }
}
