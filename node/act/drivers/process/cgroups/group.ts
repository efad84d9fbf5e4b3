// What can be done with one control group, whichever version it is of: who is in it, whether it is empty, killing all of
// it, taking it away. Found out by the files that it has, so that groups made by an earlier run of the peer are dealt
// with as well. A group's name is its owner's proof: nothing else puts processes there.

import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../../../lib/time.ts'

const textOf = async (path: string): Promise<string | null> => {
  try {
    return await readFile(path, 'latin1')
  } catch {
    return null
  }
}

/** Writes to a file of a group. False: the kernel refused, or there is no such file. */
export const put = async (path: string, value: string): Promise<boolean> => {
  try {
    // `r+`: a control file is never created, so a typo or a missing controller shows as what it is.
    await writeFile(path, value, { flag: 'r+' })
    return true
  } catch {
    return false
  }
}

const childrenOf = async (group: string): Promise<readonly string[]> => {
  try {
    const entries = await readdir(group, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(group, name))
  } catch {
    return []
  }
}

/** Living processes of a group and of the groups below it. */
export const membersOf = async (group: string): Promise<readonly number[]> => {
  const text = await textOf(join(group, 'cgroup.procs'))
  if (text === null) return []
  const own = text.split('\n').map(Number)
  const below = await Promise.all((await childrenOf(group)).map(membersOf))
  // A pid of 0 is a process of another pid namespace; 1 and less are nobody that may be signalled.
  return [...own, ...below.flat()].filter((pid) => pid > 1)
}

/** Whether no living process is in the group or below it; zombies do not count. A group that is gone is empty. */
export const isEmpty = async (group: string): Promise<boolean> => {
  const events = await textOf(join(group, 'cgroup.events'))
  return events === null ? (await membersOf(group)).length === 0 : /^populated 0$/m.test(events)
}

// Between two looks at a group that was killed: exits take microseconds; an uninterruptible sleep takes what it takes.
const LOOK_FIRST_MS = 1
const LOOK_MAX_MS = 100
// A frozen v1 group may take a moment until its last process has stopped; longer than this it will not help to wait.
const FREEZE_LOOKS_MAX = 20

/** Resolves after that long. */
export const pause = async (clock: Clock, delayMs: number): Promise<void> => {
  await new Promise<void>((resolve) => {
    clock.after(delayMs, resolve)
  })
}

/** Waits until a group is empty, or the deadline (monotonic) is there. True: it is empty. */
export const emptied = async (group: string, clock: Clock, deadlineMs: number): Promise<boolean> => {
  for (let delayMs = LOOK_FIRST_MS; ; delayMs = Math.min(delayMs * 2, LOOK_MAX_MS)) {
    if (await isEmpty(group)) return true
    const leftMs = deadlineMs - clock.now()
    if (leftMs <= 0) return false
    await pause(clock, Math.min(delayMs, leftMs))
  }
}

const send = (pid: number): void => {
  if (pid === process.pid) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone meanwhile.
  }
}

/** Kills what is in a group at this moment, and nothing that it forks meanwhile gets away. */
const killOnce = async (group: string, clock: Clock): Promise<void> => {
  // Version 2 since Linux 5.14: one write, atomic against forks.
  if (await put(join(group, 'cgroup.kill'), '1')) return
  const freezer = (await textOf(join(group, 'freezer.state'))) === null ? null : join(group, 'freezer.state')
  // Frozen processes cannot fork, so what is listed then is everybody.
  if (freezer !== null) {
    await put(freezer, 'FROZEN')
    for (let look = 0; look < FREEZE_LOOKS_MAX; look += 1) {
      if ((await textOf(freezer))?.trim() === 'FROZEN') break
      await pause(clock, LOOK_FIRST_MS)
    }
  } else await put(join(group, 'cgroup.freeze'), '1')
  for (const pid of await membersOf(group)) send(pid)
  if (freezer !== null) await put(freezer, 'THAWED')
  else await put(join(group, 'cgroup.freeze'), '0')
}

/** Kills every process of a group; resolves when it is empty. */
export const killGroup = async (group: string, clock: Clock): Promise<void> => {
  for (let delayMs = LOOK_FIRST_MS; !(await isEmpty(group)); delayMs = Math.min(delayMs * 2, LOOK_MAX_MS)) {
    await killOnce(group, clock)
    if (await emptied(group, clock, clock.now() + delayMs)) return
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code

/** Takes a group away if nothing is in it or below it. True: it is gone. */
export const isRemoved = async (group: string): Promise<boolean> => {
  try {
    await rmdir(group)
    return true
  } catch (error) {
    return isCode(error, 'ENOENT')
  }
}

/** Takes an empty group and those below it away. False: something is still in it. */
const removeOnce = async (group: string): Promise<boolean> => {
  for (const child of await childrenOf(group)) await removeOnce(child)
  return await isRemoved(group)
}

// Version 1 refuses while a zombie of the group waits for its parent; init is slow to reap now and then. What is not gone
// after all tries (some 2 s) is swept by the next start.
const REMOVE_TRIES = 8

/**
 * Takes an empty group away; resolves true when it is gone. Nobody can join a group that is gone: a late joiner's write
 * fails, and it must not go on then.
 */
export const removeGroup = async (group: string, clock: Clock): Promise<boolean> => {
  let delayMs = LOOK_FIRST_MS * 8
  for (let attempt = 0; attempt < REMOVE_TRIES; attempt += 1) {
    if (await removeOnce(group)) return true
    await pause(clock, delayMs)
    delayMs *= 2
  }
  return false
}

/** How many processes of a group the kernel has killed for want of memory. */
export const oomKillsOf = async (group: string): Promise<number> => {
  const text =
    (await textOf(join(group, 'memory.events'))) ?? (await textOf(join(group, 'memory.oom_control'))) ?? ''
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
}
