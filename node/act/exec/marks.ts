// The mark that every process of an exec carries in its environment, by which all that a command started is found and
// ended, in whatever group or session it hides. Reads the machine's processes and kills those that carry the mark; knows
// no instance: those have their nonce, which an exec carries as well, so that it ends with its instance.

import type { Clock } from '../../../lib/time.ts'
import { allPids, environmentOf, statOf } from '../drivers/process/identity.ts'

/** The variable: `<member id>.<random>`. */
export const MARK = 'TUTTI_EXEC'

// Between two looks at what was killed: exits take microseconds; a process in uninterruptible sleep takes what it takes.
const LOOK_FIRST_MS = 2
const LOOK_MAX_MS = 250
/** A process that does not die of SIGKILL within all of these looks hangs in the kernel; nobody is helped by waiting. */
const LOOKS_MAX = 40

const isLiving = (pid: number): boolean => {
  const stat = statOf(pid)
  return stat !== null && stat.state !== 'Z' && stat.state !== 'X'
}

/** Living processes whose mark fits. Costs some 40 µs a process of the machine. */
export const findMarked = (fits: (mark: string) => boolean): readonly number[] =>
  allPids().filter((pid) => {
    if (pid <= 1 || pid === process.pid) return false
    const mark = environmentOf(pid)?.[MARK]
    return mark !== undefined && fits(mark) && isLiving(pid)
  })

/** Kills every process whose mark fits; resolves when none is left. */
export const endMarked = async (fits: (mark: string) => boolean, clock: Clock): Promise<void> => {
  let delayMs = LOOK_FIRST_MS
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const pids = findMarked(fits)
    if (pids.length === 0) return
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // Gone since the look.
      }
    }
    await new Promise<void>((resolve) => {
      clock.after(delayMs, resolve)
    })
    delayMs = Math.min(delayMs * 2, LOOK_MAX_MS)
  }
}
