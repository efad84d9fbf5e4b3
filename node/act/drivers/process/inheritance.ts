// Heirs that a starting driver finds (heirs.ts): one that has taken its run's place while nobody watched becomes the run of
// the record, and one that has not is taken back before anything else, since whoever prepared it is gone. Ends no process.

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { InstanceId } from '../../../../lib/ids.ts'
import type { Clock } from '../../../../lib/time.ts'
import type { Adopted, InstanceRecord } from '../../../ports.ts'
import { EXIT_UNKNOWN } from '../../../plan/facts.ts'
import type { AdoptionOptions } from './adoption.ts'
import { pause } from './cgroups/group.ts'
import { claim } from './heirs.ts'
import { ageMsOf, isAlive, type ProcessIdentity } from './identity.ts'
import { RUN_FILES } from './launch.ts'
import { SPAWN_TIMEOUT_MS } from './launching.ts'
import type { StoredRecord } from './record-text.ts'
import { confinedIn, endedAgoMsIn, exitIn } from './run-folder.ts'
import { oomKillsIn } from './run.ts'
import { beganAtMs, changedMs, toldIn } from './told.ts'

/** An heir that has begun, and how the run before it ended. */
export interface Inheritance {
  readonly record: InstanceRecord
  readonly inherited: Exclude<Adopted['inherited'], undefined>
}

// Between two looks at a shim that is becoming another; it takes milliseconds.
const LOOK_MS = 2

/** The heir of a record's run; null: it has not begun, and cannot any more. */
export const inheritanceOf = async (
  { boot, record }: StoredRecord,
  options: AdoptionOptions,
): Promise<Inheritance | null> => {
  const { folders, clock, speaks } = options
  const { heir: nonce } = record
  if (nonce === undefined || boot !== options.boot) return null
  const folder = folders.pathOf(record.nonce)
  const { shim } = toldIn(folder)
  if (!(await hasBegun(folders.pathOf(nonce), { nonce, folder, shim }, options))) return null
  const oomKills = toldIn(folder).oomKills ?? (await oomKillsIn({ confined: confinedIn(folder) }))
  const exit = exitIn(folder, speaks, oomKills)
  const endedAgoMs = endedAgoMsIn(folder, clock.wall()) ?? 0
  const inherited = { exit: exit ?? EXIT_UNKNOWN, ranMs: ranMsIn(folder), endedAgoMs }
  // Here and not with the leftovers: its shim and its groups are another run's now.
  await folders.drop(record.nonce)
  const { heir: _, ...rest } = record
  return { record: { ...rest, nonce, runs: record.runs + 1 }, inherited }
}

/** Whether the heir's shim has told its identity; one that is about to is waited for. */
const hasBegun = async (
  heirFolder: string,
  run: { readonly nonce: string; readonly folder: string; readonly shim: ProcessIdentity | null },
  { folders, clock }: AdoptionOptions,
): Promise<boolean> => {
  const told = (): boolean => toldIn(heirFolder).shim !== null
  if (told()) return true
  if (!existsSync(heirFolder)) return false
  // A claim before the end of the run is an earlier peer's.
  if (claim(folders, run.nonce) || toldIn(run.folder).status === '') {
    rmSync(join(run.folder, RUN_FILES.heir), { force: true })
    await folders.drop(run.nonce)
    return false
  }
  const untilMs = clock.now() + SPAWN_TIMEOUT_MS
  while (!told() && run.shim !== null && isAlive(run.shim) && clock.now() < untilMs)
    await pause(clock, LOOK_MS)
  return told()
}

/** How long a run was on; 0: not known. */
const ranMsIn = (folder: string): number => {
  const [began, ended] = [beganAtMs(folder), toldIn(folder).endedAtMs]
  return began === null || ended === null ? 0 : Math.max(0, ended - began)
}

/** How long a living run has been on, milliseconds. An heir's process is as old as the first of its line. */
export const runAgeMs = (folder: string, shim: ProcessIdentity, clock: Pick<Clock, 'wall'>): number => {
  const claimed = changedMs(join(folder, RUN_FILES.claim))
  const ageMs = ageMsOf(shim)
  return claimed === null ? ageMs : Math.min(ageMs, Math.max(0, clock.wall() - claimed))
}

/** What an adopted run inherited, as a part of what is known of it. */
export const inheritedIn = (
  lines: ReadonlyMap<InstanceId, Adopted['inherited']>,
  { instance }: InstanceRecord,
): Pick<Adopted, 'inherited'> => {
  const inherited = lines.get(instance)
  return inherited === undefined ? {} : { inherited }
}
