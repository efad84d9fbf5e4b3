// One living run and how it is ended: the stop signal to everybody in it, the kill, and what is left of it afterwards.
// With a control group nobody escapes, whatever it does to its session, its parents or its environment; without one,
// processes are known by their group and by the nonce that they carry (group.ts). Knows no records and reports nothing.

import type { Clock } from '../../../../lib/time.ts'
import type { InstanceRecord } from '../../../ports.ts'
import { MARK } from '../../exec/marks.ts'
import type { AliveWatch } from './alive.ts'
import type { Census } from './census.ts'
import type { Cgroups } from './cgroups/cgroups.ts'
import { emptied, killGroup, membersOf, oomKillsOf, pause } from './cgroups/group.ts'
import type { Confined } from './confinement.ts'
import type { Heir } from './heirs.ts'
import { tellOomKills, toldIn } from './told.ts'
import { findProcesses, send, signalGroup, sweep, vanished } from './group.ts'
import { environmentOf, isAlive, namespacePidsOf, statOf, type ProcessIdentity } from './identity.ts'

/** A run that is watched. */
export interface Run {
  readonly record: InstanceRecord
  readonly folder: string
  readonly shim: ProcessIdentity
  readonly alive: AliveWatch
  readonly confined: Confined
  /** Resolves after the exit was reported. */
  readonly gone: PromiseWithResolvers<void>
  /** Until when what is left of the run may still shut down (monotonic); null: no stop is under way. */
  stopUntilMs: number | null
  /** The successor that is prepared; null: none. */
  heir: Heir | null
  /** Resolves when no successor is being prepared. */
  arming: Promise<unknown>
  /** Ends for want of memory that its groups had counted before it began. */
  oomKillsBefore: number
  /** Whether its record names its successor. */
  isNamed: boolean
  /** The run was killed, so a shim without an exit status was killed with it, and memory was not what ended it. */
  killed: boolean
}

/** A run whose shim lives; nothing has asked it to end yet. */
export const runOf = (
  { record, folder, confined }: Pick<Run, 'record' | 'folder' | 'confined'>,
  shim: ProcessIdentity,
  alive: AliveWatch,
): Run => {
  const gone = Promise.withResolvers<void>()
  const isNamed = record.heir !== undefined
  const unarmed = { heir: null, arming: Promise.resolve(), isNamed, oomKillsBefore: 0 }
  return { record, folder, confined, shim, alive, gone, stopUntilMs: null, killed: false, ...unarmed }
}

/** An operator's command that entered the run: it is not asked to stop, and is killed when the program has ended. */
const hasEntered = (pid: number): boolean => environmentOf(pid)?.[MARK] !== undefined

/** Processes of a run that a signal is for: all but the shim and who entered, and in a sandbox only those inside. */
const addresseesOf = async ({ record, shim, confined }: Run): Promise<readonly number[]> => {
  const { tracking } = confined.groups
  const pids =
    tracking === null
      ? findProcesses({ nonce: record.nonce, shim, watched: true })
      : (await membersOf(tracking)).filter((pid) => !hasEntered(pid))
  if (!confined.isSandboxed) return pids.filter((pid) => statOf(pid)?.group !== shim.pid)
  // The sandbox's own two processes (outside, and 1 inside) would end at the signal and take the program with them.
  return pids.filter((pid) => {
    const [, inner] = namespacePidsOf(pid)
    return inner !== undefined && inner !== 1
  })
}

// Between two looks at whether the program is there; it takes a millisecond on a quiet machine.
const LOOK_MS = 2
// Between two looks at a shim that is ending: it takes microseconds.
const SHIM_LOOK_MS = 1

/** Waits until signals reach the program, the run is over, or the deadline (monotonic) is there. */
export const isUp = async (run: Run, clock: Clock, deadlineMs: number): Promise<void> => {
  while (!toldIn(run.folder).isUp && isAlive(run.shim) && clock.now() < deadlineMs)
    await pause(clock, LOOK_MS)
}

/** Signals the whole run, its process group and everybody who left it, as soon as that is not too early to be heard. */
export const signalRun = async (
  run: Run,
  signal: NodeJS.Signals,
  clock: Clock,
  deadlineMs: number,
): Promise<void> => {
  await isUp(run, clock, deadlineMs)
  if (!run.confined.isSandboxed) signalGroup(run.shim, signal)
  const addressees = await addresseesOf(run)
  for (const pid of addressees) send(pid, signal)
  // A sandbox that is not up yet has nothing to shut down.
  if (run.confined.isSandboxed && addressees.length === 0) signalGroup(run.shim, signal)
}

/** Kills the run, and with a control group its shim, too: who killed it knows how it ended. */
export const killRun = async (run: Run, clock: Clock): Promise<void> => {
  run.killed = true
  const { tracking } = run.confined.groups
  if (tracking === null) {
    signalGroup(run.shim, 'SIGKILL')
    return
  }
  await killGroup(tracking, clock)
  // One that has not joined yet, or was started by a version whose shims do not.
  signalGroup(run.shim, 'SIGKILL')
}

/** Ends for want of memory that the groups of a run have counted, those of the runs before it in them included. */
export const oomKillsIn = async ({ confined }: Pick<Run, 'confined'>): Promise<number> => {
  const { memory } = confined.groups
  return memory === null ? 0 : await oomKillsOf(memory)
}

/**
 * Ends what a run left after its shim was gone; resolves with the number of processes that the kernel ended for want of
 * memory, when no process of the run exists or can come to exist.
 */
export const endRun = async (run: Run, clock: Clock, cgroups: Cgroups, census: Census): Promise<number> => {
  const { record, shim, confined, stopUntilMs } = run
  const { tracking } = confined.groups
  const mayShutDown = stopUntilMs !== null && !run.killed
  if (tracking === null) {
    const traces = { nonce: record.nonce, shim, watched: true }
    if (!(await vanished(traces, census, clock, mayShutDown ? stopUntilMs : 0))) await sweep(traces, clock)
  } else if (mayShutDown) {
    for (const pid of await membersOf(tracking)) if (hasEntered(pid)) send(pid, 'SIGKILL')
    await emptied(tracking, clock, stopUntilMs)
  }
  const counted = await oomKillsIn(run)
  const oomKills = counted - run.oomKillsBefore
  // A later start of the peer is to know it, too, and the groups that count are gone then.
  if (oomKills > 0 && !run.killed) tellOomKills(run.folder, counted)
  await cgroups.remove(confined.groups)
  // The end of its FIFO is heard while the kernel still tidies up after it.
  while (isAlive(shim)) await pause(clock, SHIM_LOOK_MS)
  // A shim that was killed may have left a copy of itself that was yet to join the group. It cannot become the program
  // any more, since the group is gone, but it must not outlive the report either.
  if (tracking !== null && toldIn(run.folder).status === '')
    await sweep({ nonce: record.nonce, shim, watched: true }, clock)
  return oomKills
}
