// What holds one run: its control groups, its limits, its user, its sandbox, as the words that a launch is made of and as
// a file that outlives the peer, so that the next one finds the groups again and knows what the run goes without. Asks
// the machine what it has; decides nothing about when anything runs.

import { readFileSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { join } from 'node:path'
import { TuttiError } from '../../../../lib/errors.ts'
import { formatSize } from '../../../../lib/time.ts'
import type { ReleaseDefinition } from '../../../../crdt/schema/view.ts'
import { accountOf, type Account } from './account.ts'
import { NO_GROUPS, type Grouped, type RunGroups } from './cgroups/cgroups.ts'
import type { Resource } from './cgroups/layout.ts'
import { hardLimit } from '../../limits.ts'
import { findProgram } from './command.ts'
import { quoted } from './launch.ts'
import { openWayTo } from './passage.ts'
import { sandboxWords } from './sandbox.ts'

/** What of a run's confinement outlives the peer. */
export interface Confined {
  readonly groups: RunGroups
  /** Runs in namespaces of its own, behind a process that must not be signalled in its place. */
  readonly isSandboxed: boolean
  /** Shell commands by which a process joins the groups; empty: there are none to join. */
  readonly joins: string
  /** Shell commands that the program's own process runs before it becomes the program; empty: none. */
  readonly prelude: string
  /** Words before the program's that change to its user; empty: it is the peer's own. */
  readonly become: readonly string[]
  /** What it runs without, in one sentence; empty: nothing. */
  readonly shortfall: string
}

/** How a run is started so that it is confined. */
export interface Confinement extends Confined {
  /** The program with what goes before it. */
  readonly command: readonly string[]
  /** Variables that the user brings; what the operator wrote goes before them. */
  readonly environment: Readonly<Record<string, string>>
}

export const UNCONFINED: Confined = {
  groups: NO_GROUPS,
  isSandboxed: false,
  joins: '',
  prelude: '',
  become: [],
  shortfall: '',
}

/** One run to confine. */
export interface ConfinementPlan {
  readonly peer: string
  readonly definition: ReleaseDefinition
  /** Absolute. */
  readonly workingDirectory: string
  /** The instance's own directory, made by the driver; null: it has none. */
  readonly ownDirectory: string | null
  /** The package that it runs from, which it may read and no more; null: none. */
  readonly packageDirectory: string | null
  /** The program, absolute, and its arguments. */
  readonly command: readonly string[]
}

const isRoot = (): boolean => process.geteuid?.() === 0

/** Finds out the words, and makes the groups when nothing can fail any more. @throws TuttiError `unknown` or `refused` where the run cannot be had here. */
export const confine = async (
  plan: ConfinementPlan,
  makeGroups: () => Promise<Grouped>,
): Promise<Confinement> => {
  const { definition, peer, workingDirectory } = plan
  const account = definition.user === null ? null : await switchTo(definition.user, peer)
  const [program = '', ...rest] = plan.command
  const isSandboxed = definition.isolation === 'sandbox'
  const sandbox = isSandboxed
    ? sandboxWords({
        bubblewrap: bubblewrap(peer),
        program,
        workingDirectory,
        writable: [plan.ownDirectory ?? workingDirectory],
        readable: plan.packageDirectory === null ? [] : [plan.packageDirectory],
        isRoot: isRoot(),
      })
    : []
  if (account !== null && plan.packageDirectory !== null)
    for (const directory of [plan.packageDirectory, plan.ownDirectory ?? plan.packageDirectory])
      await openWayTo(directory, definition.user ?? '', peer)
  if (account !== null && plan.ownDirectory !== null) await chown(plan.ownDirectory, account.uid, account.gid)
  const files = openFilesOf(definition.openFilesMax)
  const { groups, missing } = await makeGroups()
  const become = account === null ? [] : setprivWords(account, peer)
  const joins = groups.join.map((group) => `echo 0 >${quoted(join(group, 'cgroup.procs'))}`)
  return {
    groups,
    isSandboxed,
    shortfall: shortfallOf(definition, missing, files.shortfall),
    joins: joins.join(' && '),
    prelude: files.limit === null ? '' : `ulimit -n ${files.limit}`,
    become,
    command: [...sandbox, ...become, program, ...rest],
    environment: account === null ? {} : variablesOf(account),
  }
}

/** The account to become; null: it is this process's own already. */
const switchTo = async (user: string, peer: string): Promise<Account | null> => {
  const account = await accountOf(user, peer)
  const isOwn = account.uid === process.geteuid?.() && account.gid === process.getegid?.()
  if (isOwn) return null
  if (isRoot()) return account
  throw new TuttiError(
    'refused',
    `user '${user}' needs a peer that runs as root, and peer '${peer}' does not; run it as root or remove user`,
  )
}

const setprivWords = ({ uid, gid, groups }: Account, peer: string): readonly string[] => {
  const setpriv = findProgram('setpriv')
  if (setpriv === null) {
    throw new TuttiError(
      'refused',
      `user needs setpriv on peer '${peer}', which is not installed there; install util-linux`,
    )
  }
  return [
    setpriv,
    '--reuid',
    String(uid),
    '--regid',
    String(gid),
    ...(groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')]),
    '--no-new-privs',
    '--inh-caps=-all',
    '--bounding-set=-all',
    '--',
  ]
}

const bubblewrap = (peer: string): string => {
  const found = findProgram('bwrap')
  if (found !== null) return found
  throw new TuttiError(
    'refused',
    `isolation needs bubblewrap on peer '${peer}', which is not installed there; install it or remove isolation`,
  )
}

const variablesOf = ({ name, home }: Account): Readonly<Record<string, string>> => ({
  ...(home === null ? {} : { HOME: home }),
  ...(name === null ? {} : { USER: name, LOGNAME: name }),
})

// CAP_SYS_RESOURCE (capability.h): may raise hard limits.
const CAPABILITY_RESOURCE = 24n

interface OpenFiles {
  readonly limit: number | null
  readonly shortfall: string
}

/** The limit of open files that this peer can give, and what is missing of the one that is wanted. */
const openFilesOf = (wanted: number | null): OpenFiles => {
  if (wanted === null) return { limit: null, shortfall: '' }
  const hard = hardLimit(readFileSync('/proc/self/limits', 'utf8'), 'Max open files')
  const mask = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  const mayRaise = ((BigInt(`0x${mask}`) >> CAPABILITY_RESOURCE) & 1n) === 1n
  if (hard === null || mayRaise || wanted <= hard) return { limit: wanted, shortfall: '' }
  return { limit: hard, shortfall: `open files are limited to ${hard}, this peer's own limit` }
}

const shortfallOf = (
  { memoryMaxBytes, cpusMaxMilli, pidsMax }: ReleaseDefinition,
  missing: readonly Resource[],
  files: string,
): string => {
  const amounts: Readonly<Record<Resource, string>> = {
    memory: `memory ${formatSize(memoryMaxBytes ?? 0)}`,
    cpu: `cpus ${(cpusMaxMilli ?? 0) / 1000}`,
    pids: `pids ${pidsMax ?? 0}`,
  }
  const limits = missing.map((resource) => amounts[resource]).join(', ')
  const groups = limits === '' ? '' : `is not limited to ${limits}: this peer may not make control groups`
  return [groups, files].filter((text) => text !== '').join('; ')
}

/** A confinement as its file's one line. */
export const confinedText = ({ groups, isSandboxed, joins, prelude, become, shortfall }: Confined): string =>
  JSON.stringify({ groups, isSandboxed, joins, prelude, become, shortfall })

/** Reads what `confinedText` wrote; what cannot be read confines nothing. */
export const parseConfined = (text: string): Confined => {
  try {
    // Written by this program into a directory of its own; a torn write does not parse.
    return { ...UNCONFINED, ...(JSON.parse(text) as Partial<Confined>) }
  } catch {
    return UNCONFINED
  }
}

/** An instance's environment with the variables that its user brings; what the operator wrote wins over them. */
export const environmentIn = (
  confinement: Confinement,
  definition: ReleaseDefinition,
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> => {
  const brought = Object.entries(confinement.environment)
  const kept = brought.filter(([name]) => !Object.hasOwn(definition.environment, name))
  return { ...environment, ...Object.fromEntries(kept) }
}
