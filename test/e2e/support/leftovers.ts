// Nothing is left behind: processes are found by the directory of their fleet, and what a test process holds is undone
// also when the runner ends it half-way. Synchronous, since it runs in an exit handler.

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Cgroups, currentLayout, groupNameOf } from '../../../node/act/drivers/process/cgroups/cgroups.ts'

/** State and parent of a process; null: there is none. */
const statOf = (pid: number | string): { readonly state: string } | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return { state: stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) }
  } catch {
    return null
  }
}

/** Whether the process runs; one that only waits to be reaped does not. */
export const isRunning = (pid: number): boolean => {
  const stat = statOf(pid)
  return stat !== null && stat.state !== 'Z' && stat.state !== 'X'
}

/** Data directories of the peers that a process started itself: the `--data` of its children. */
export const dataOfChildren = (parent: number): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) =>
      attempt(() => readFileSync(`/proc/${name}/status`, 'utf8')).includes(`\nPPid:\t${parent}\n`),
    )
    .flatMap((name) => {
      const words = attempt(() => readFileSync(`/proc/${name}/cmdline`, 'utf8')).split('\0')
      const at = words.indexOf('--data')
      return at < 0 ? [] : [words[at + 1] ?? '']
    })

const attempt = (read: () => string): string => {
  try {
    return read()
  } catch {
    // Gone meanwhile, or another user's: not ours.
    return ''
  }
}

/**
 * Processes whose environment, arguments, working directory or output lie below `directory`: what our peers started and
 * nobody else did.
 */
export const strays = (directory: string): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      if (!isRunning(pid)) return false
      const texts = [
        ...['environ', 'cmdline'].map((file) => attempt(() => readFileSync(`/proc/${pid}/${file}`, 'utf8'))),
        ...['cwd', 'fd/1'].map((link) => attempt(() => readlinkSync(`/proc/${pid}/${link}`))),
      ]
      return texts.some((text) => text.includes(`${directory}/`) || text.endsWith(directory))
    })

/** Kills every process below `directory`, and whoever they started meanwhile. */
export const killStrays = (directory: string): void => {
  for (let round = 0; round < 3; round += 1) {
    const found = strays(directory)
    if (found.length === 0) return
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // Gone between the look and the signal.
      }
    }
  }
}

const clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: (delayMs: number, fire: () => void) => {
    const timer = setTimeout(fire, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Takes away the control groups of a peer that is gone, with what is in them. */
export const removeGroups = async (data: string): Promise<void> => {
  const folder = join(data, 'instances')
  if (!existsSync(folder)) return
  const cgroups = Cgroups.open(currentLayout(), groupNameOf(folder), clock, { log: () => undefined })
  await cgroups.sweep(new Set())
  cgroups.close()
}

const undoings = new Set<() => void>()
let hooked = false

/** Runs `undo` should this process end before `release` is called. @returns release */
export const atExit = (undo: () => void): (() => void) => {
  if (!hooked) {
    hooked = true
    process.on('exit', () => {
      for (const each of undoings) each()
    })
    // Without a handler a signal ends the process with no exit event.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
  }
  undoings.add(undo)
  return () => undoings.delete(undo)
}
