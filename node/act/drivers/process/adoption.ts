// What a driver finds when it starts: runs of an earlier peer that live on and are taken over (S10), those that ended
// while nobody watched, and what a crash left, which is ended before any slot starts again. Watches and reports nothing.

import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Log } from '../../../../lib/log.ts'
import type { Clock } from '../../../../lib/time.ts'
import { EXIT_UNKNOWN } from '../../../plan/facts.ts'
import type { Adopted, InstanceRecord } from '../../../ports.ts'
import { watchAlive, type AliveWatch } from './alive.ts'
import type { Cgroups, RunGroups } from './cgroups/cgroups.ts'
import { processesByNonce, sweep, type Traces } from './group.ts'
import { isAlive, nonceOf } from './identity.ts'
import { RUN_FILES } from './launch.ts'
import type { StoredRecord } from './record-text.ts'
import { confinedIn, endedAgoMsIn, exitIn } from './run-folder.ts'
import type { RunFolders } from './run-folders.ts'
import { oomKillsIn, runOf, type Run } from './run.ts'
import { tellOomKills, toldIn } from './told.ts'

/** What it is built from. */
export interface AdoptionOptions {
  readonly folders: RunFolders
  readonly cgroups: Cgroups
  readonly clock: Clock
  readonly log: Log
  /** The boot that the machine is in. */
  readonly boot: string
  /** Whether the shell says when a signal ended a program. */
  readonly speaks: boolean
}

/** The living run of a record; null: it is over, or it cannot be proven to be this one. */
export const findRun = (
  { boot, record }: StoredRecord,
  { folders, boot: present }: AdoptionOptions,
): Run | null => {
  const folder = folders.pathOf(record.nonce)
  if (boot !== present) return null
  let alive: AliveWatch
  try {
    // Watched before it is looked at: an end after the look is then an event.
    alive = watchAlive(join(folder, RUN_FILES.alive))
  } catch {
    return null
  }
  const { shim } = toldIn(folder)
  if (shim === null || !isAlive(shim) || nonceOf(shim.pid) !== record.nonce) {
    alive.close()
    return null
  }
  return runOf({ record, folder, confined: confinedIn(folder) }, shim, alive)
}

/** What is known of a run that ended while nobody watched. Before its groups, and their counts, are swept. */
export const endedRun = async (
  record: InstanceRecord,
  { folders, clock, speaks }: AdoptionOptions,
  inherited: Adopted['inherited'],
): Promise<Adopted> => {
  const folder = folders.pathOf(record.nonce)
  // An heir's groups have counted for the run before it as well.
  const before = inherited?.exit.oomKilled === true ? 1 : 0
  const told = toldIn(folder).oomKills
  const counted = told ?? (await oomKillsIn({ confined: confinedIn(folder) }))
  const exit = exitIn(folder, speaks, counted - before)
  if (told === null && counted > before) tellOomKills(folder, counted)
  const endedAgoMs = endedAgoMsIn(folder, clock.wall())
  const known = { record, pid: null, exit: exit ?? EXIT_UNKNOWN }
  return {
    ...known,
    ...(endedAgoMs === null ? {} : { endedAgoMs }),
    ...(inherited === undefined ? {} : { inherited }),
  }
}

/**
 * Ends every process of a run directory that was not adopted (`found` are), and drops the directories that no record names (`kept`:
 * those that one does). A run without a known pid is fenced first.
 */
export const endLeftovers = async (
  found: readonly Run[],
  kept: ReadonlySet<string>,
  { folders, cgroups, clock, log }: AdoptionOptions,
): Promise<void> => {
  const adopted = new Set(found.map(({ record }) => record.nonce))
  // A line of heirs stays in the groups of its first run, whatever that was called.
  const inUse = new Set(found.map(({ confined }) => confined.groups.tracking))
  const over: Traces[] = []
  const groups: RunGroups[] = []
  for (const { nonce, name, path } of folders.all()) {
    if (adopted.has(nonce)) continue
    if (toldIn(path).shim === null && name === nonce) folders.fence(nonce)
    over.push({ nonce, shim: folders.identityOf(nonce), watched: false })
    groups.push(confinedIn(path).groups)
    if (!kept.has(nonce) || name !== nonce) rmSync(path, { recursive: true, force: true })
  }
  // Also those that lie elsewhere, since this peer was started from another group of its own than the last one.
  for (const each of groups) if (!inUse.has(each.tracking)) await cgroups.remove(each)
  const names = found.flatMap(({ confined }) => confined.groups.join.map((group) => basename(group)))
  await cgroups.sweep(new Set([...adopted, ...names]))
  if (over.length === 0) return
  // One look at the machine for all; a sweep of its own only for runs that have something to end.
  const marked = processesByNonce()
  for (const traces of over) {
    if (!marked.has(traces.nonce)) continue
    log.log('warn', 'processes of a run that cannot be adopted are ended', { nonce: traces.nonce })
    await sweep(traces, clock)
  }
}
