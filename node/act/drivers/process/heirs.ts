// Heirs: the successor of a living run, prepared so far that the run's own shim becomes it when the program ends, in the
// time of a fork and whether or not a peer is there (docs/adr/0017-heirs.md). All is made ahead: the record names it, its
// directory and FIFO are there, and the present run's directory gets a script that its shim reads last. The heir runs in the
// control groups of the present run, which its shim is in already.
//
// Only one may dispose of it: whoever makes the file `claim` in its directory first. The shim claims it to become it, the peer
// to take it back (a stop, a drain, a change) or to do the restart itself, because something of the run is left. Whoever
// loses accepts the other's deed. Decides neither when to arm nor what an end means.

import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../../lib/time.ts'
import type { HeirRequest, InstanceRecord } from '../../../ports.ts'
import { watchAlive, type AliveWatch } from './alive.ts'
import { SYSTEM_PATH } from './command.ts'
import type { Confined } from './confinement.ts'
import { signalGroup, sweep } from './group.ts'
import { environmentOf, isAlive, uptimeMs } from './identity.ts'
import { confinedLine, isPlain, launchScript, quoted, RUN_FILES, type LaunchPlan } from './launch.ts'
import { preparePlaces, SPAWN_TIMEOUT_MS, type LaunchingOptions } from './launching.ts'
import { textOf, toldIn } from './told.ts'
import type { RunFolders } from './run-folders.ts'
import { runOf, type Run } from './run.ts'

/** A successor that is prepared. */
export interface Heir {
  readonly record: InstanceRecord
  readonly folder: string
  readonly confined: Confined
}

/** What is needed to prepare one. */
export interface HeirPlan {
  readonly heir: Heir
  readonly launch: LaunchPlan
  readonly condition: HeirRequest['condition']
  readonly notBeforeMs: number
}

/** The shim reads a clock of whole seconds. */
const SECOND_MS = 1000
/** Who is in a control group, a line each. */
const GROUP_MEMBERS = 'cgroup.procs'
/** Says in its first line how many groups are below it; control groups of version 2 have it. */
const GROUP_STAT = 'cgroup.stat'

/** Whether a run can have an heir at all: its shim must be in its group, and see that nothing else is. */
export const mayHaveHeir = ({ confined, shim }: Run): boolean => {
  const { tracking } = confined.groups
  if (tracking === null || confined.joins === '' || !existsSync(join(tracking, GROUP_STAT))) return false
  return textOf(join(tracking, GROUP_MEMBERS)).split('\n').includes(String(shim.pid))
}

/** Lines of the shim that end it unless nothing but itself is left in the group: reads alone, no fork. */
const emptinessTest = (group: string): readonly string[] => {
  const [members, stat] = [quoted(join(group, GROUP_MEMBERS)), quoted(join(group, GROUP_STAT))]
  return [
    `{ read -r tutti_first && ! read -r tutti_next; } 2>/dev/null <${members} || exit 0`,
    '[ "$tutti_first" = $$ ] || exit 0',
    `read -r tutti_first <${stat} || exit 0`,
    `[ "$tutti_first" = 'nr_descendants 0' ] || exit 0`,
  ]
}

/**
 * A line of the shim that tells how many processes its group has lost to want of memory: when the peer comes to look, the
 * heir may have lost some as well.
 */
const oomTold = (memory: string, told: string): string => {
  const tell = `[ "$tutti_first" != oom_kill ] || echo "oom $tutti_next" >>${quoted(told)}`
  const counts = [join(memory, 'memory.events'), join(memory, 'memory.oom_control')].find(existsSync)
  if (counts === undefined) return ':'
  return `{ while read -r tutti_first tutti_next; do ${tell}; done <${quoted(counts)}; } 2>/dev/null`
}

/**
 * What the shim of a run does last, as the successor's launch with conditions before it. It runs in the shim's own shell,
 * whose `tutti_status` is the program's, and forks nothing. `former`: the variables that the shim has exported.
 */
export const heirScript = (
  { heir, launch, condition, notBeforeMs }: HeirPlan,
  {
    group,
    oom,
    former,
  }: { readonly group: string; readonly oom: string; readonly former: readonly string[] },
): string => {
  const fromS = Math.ceil((uptimeMs() + notBeforeMs) / SECOND_MS)
  const lines = [
    ...(condition === 'on-failure' ? ['[ "$tutti_status" -ne 0 ] || exit 0'] : []),
    ...(notBeforeMs <= 0
      ? []
      : [
          'read -r tutti_uptime tutti_rest </proc/uptime',
          `[ "\${tutti_uptime%%.*}" -ge ${fromS} ] || exit 0`,
        ]),
    oom,
    // The words of a failure are none of the program's.
    'exec 2>/dev/null',
    // The peer ends what is left, and no program starts beside it.
    ...emptinessTest(group),
    `set -C && command : >${quoted(join(heir.folder, RUN_FILES.claim))} && set +C || exit 0`,
    `PATH=${quoted(SYSTEM_PATH)}`,
    `unset TUTTI_SESSION ${former.filter((name) => isPlain(name) && name !== 'PATH').join(' ')}`,
  ]
  return `${lines.join('\n')}\n${launchScript({ ...launch, confined: '' })}`
}

/** Makes everything that the heir of a living run needs; the run's shim gets the script last. False: it can have none. */
export const armRun = async (run: Run, plan: HeirPlan, options: LaunchingOptions): Promise<boolean> => {
  const { heir } = plan
  const former = environmentOf(run.shim.pid)
  const { tracking: group, memory } = run.confined.groups
  const oom = memory === null ? ':' : oomTold(memory, join(run.folder, RUN_FILES.told))
  if (group === null || former === null) return false
  try {
    await preparePlaces(heir.folder, [], options)
    const script = join(heir.folder, RUN_FILES.launch)
    const text = heirScript(plan, { group, oom, former: Object.keys(former) })
    // Ahead of time, since to make a file takes longer than all else that the shim does before the program.
    await writeFile(join(heir.folder, RUN_FILES.told), confinedLine(plan.launch.confined), { mode: 0o600 })
    await writeFile(script, text, { mode: 0o600 })
    // Before the shim can act upon it. In one step, since half a script would be run as well.
    run.heir = heir
    renameSync(script, join(run.folder, RUN_FILES.heir))
    return true
  } catch (error) {
    run.heir = null
    await options.folders.drop(heir.record.nonce)
    throw error
  }
}

/** Makes the claim in this peer's name. False: the shim has it. */
export const claim = (folders: RunFolders, nonce: string): boolean => {
  const path = folders.pathOf(nonce)
  try {
    writeFileSync(join(path, RUN_FILES.claim), '', { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
  }
  // No directory: the shim can claim nothing in it either. No room on the disk: then it is moved out of the shim's way.
  folders.fence(nonce)
  return !existsSync(join(`${path}.fenced`, RUN_FILES.claim))
}

/** Takes the heir back. False: the shim has claimed it, and becomes it. */
export const disarmRun = async (run: Run, options: LaunchingOptions): Promise<boolean> => {
  await run.arming
  const { heir } = run
  if (heir === null) return true
  if (!claim(options.folders, heir.record.nonce)) return false
  run.heir = null
  rmSync(join(run.folder, RUN_FILES.heir), { force: true })
  await options.folders.drop(heir.record.nonce)
  return true
}

const toldOrLate = async (alive: AliveWatch, clock: Clock): Promise<void> => {
  const late = Promise.withResolvers<null>()
  const cancel = clock.after(SPAWN_TIMEOUT_MS, () => {
    late.resolve(null)
  })
  await Promise.race([alive.told, late.promise])
  cancel()
}

/**
 * The run that a run's shim has become, asked when its FIFO has ended: the heir, as soon as it has told its identity. Null:
 * there is none, and none will be; the run is to be ended like any other.
 */
export const successorOf = async (run: Run, options: LaunchingOptions): Promise<Run | null> => {
  if (await disarmRun(run, options)) return null
  const { heir, shim } = run
  if (heir === null) return null
  const { clock, folders, log } = options
  let alive: AliveWatch | null = null
  try {
    // Its shim holds the FIFO since before the end of the former one was heard, unless it is over already.
    alive = watchAlive(join(heir.folder, RUN_FILES.alive))
    if (isAlive(shim)) await toldOrLate(alive, clock)
    if (toldIn(heir.folder).shim !== null) return runOf(heir, shim, alive)
  } catch (error) {
    log.log('warn', 'a successor cannot be watched', { instance: run.record.instance, error })
  }
  alive?.close()
  run.heir = null
  log.log('warn', 'a successor did not begin', { instance: run.record.instance })
  folders.fence(heir.record.nonce)
  signalGroup(shim, 'SIGKILL')
  await sweep({ nonce: heir.record.nonce, shim: null, watched: false }, clock)
  await folders.drop(heir.record.nonce)
  return null
}
