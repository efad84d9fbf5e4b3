// `tutti release`: from a commit to the fleet in one command. Makes the release (release/make-release.ts), shows what it
// would change, asks, changes, and follows until every slot is ready. With `--duty` it is a peer that releases: nobody is
// asked, and how the commit fared is written down by the very change that applies it.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { TuttiError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/time.ts'
import type { ChangeReply, ChangeRequest, Operation, StatusReply } from '../../node/serve/api/contract.ts'
import type { PackagesReply } from '../../node/serve/api/contract-packages.ts'
import { requestOf } from '../change-request.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT, Failure } from '../exit.ts'
import { WAIT_DEFAULT_MS, followConvergence } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { Progress, type ProgressLine } from '../progress.ts'
import { ownPrefix } from '../release/leftovers.ts'
import { makeRelease } from '../release/make-release.ts'
import { packRelease, pushRelease, type PackedRelease } from '../release/publish.ts'
import type { Revision } from '../release/revision.ts'
import { harmless, paintFor, short } from '../render.ts'
import { isEmptyChange, showChange, summaryOf } from '../show-change.ts'
import { isConfirmed, warn } from '../talk.ts'

export interface ReleaseCommandOptions {
  readonly file: string
  readonly repo: string | null
  readonly rev: string
  readonly allowDirty: boolean
  /** Releases that failed before and were taken back may be tried again. */
  readonly retry: boolean
  readonly yes: boolean
  readonly wait: boolean
  /** Where a repository is fetched to and builds are made; null: in a temporary directory. */
  readonly work: string | null
  /** The build duty that this is done for, and the commit whose outcome was the last one; null: a person's command. */
  readonly duty: { readonly name: string; readonly after: string | null } | null
}

const MESSAGE_LENGTH_MAX = 500
/** Codes of what another time may be otherwise; the commit has no part in it. */
const PASSING: readonly string[] = ['unreachable', 'timeout', 'busy', 'storage', 'not-ready']

/** `tutti release` */
export const release = async (context: Context, options: ReleaseCommandOptions): Promise<number> => {
  try {
    return await releaseWithin(context, options)
  } catch (thrown) {
    const isPassing = thrown instanceof TuttiError && PASSING.includes(thrown.code)
    if (options.duty === null || !isPassing) throw thrown
    throw new Failure(EXIT.temporary, thrown.message, { cause: thrown })
  }
}

const releaseWithin = async (context: Context, options: ReleaseCommandOptions): Promise<number> => {
  const startMs = performance.now()
  const { io } = context
  const client = clientOf(context)
  const work = options.work === null ? null : resolve(io.directory, options.work)
  if (work !== null) mkdirSync(work, { recursive: true, mode: 0o700 })
  const temporary = new Temporary()
  const surroundings = {
    directory: io.directory,
    environment: io.environment,
    signal: io.interruption(),
    base: work ?? tmpdir(),
    temporary: () => temporary.directory(),
    find: finder(client),
    show: (service: string | null, line: string) => show(context, service, line),
    warn: (sentence: string) => warn(context, sentence),
  }
  try {
    const done = await makeRelease({ ...options, work }, surroundings, async (made) => {
      const packed = await packRelease(made)
      const change = await (options.yes ? changeAtOnce : changeWhenConfirmed)(context, client, {
        revision: made.revision,
        packed,
        duty: options.duty,
        retry: options.retry,
      })
      return { revision: made.revision, packed, change }
    })
    return done.change === null
      ? EXIT.failed
      : await follow(context, client, done, done.change, options, startMs)
  } finally {
    temporary.remove()
  }
}

/** Looks packages up in what the cluster lists, asked once. A version of another commit is none: pushing it is refused. */
const finder = (
  client: Client,
): ((name: string, version: string, commit: string) => Promise<string | null>) => {
  let listed: Promise<PackagesReply> | null = null
  return async (name, version, commit) => {
    listed ??= client.get<PackagesReply>('/v1/packages')
    const { packages } = await listed
    const found = packages.find((each) => each.name === name && each.version === version)
    return found?.source?.commit === commit ? found.ref : null
  }
}

/** One directory for what must not outlive the command; made when it is needed, and found by the next release after a kill. */
class Temporary {
  #directory: string | null = null

  directory(): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), ownPrefix()))
    return this.#directory
  }

  remove(): void {
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** A line of a build stands behind its service's name; what tutti does itself stands alone. */
const show = (context: Context, service: string | null, line: string): void => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  const prefix = service === null ? '' : paintFor(sink, context.io.environment)('dim', `${service} | `)
  sink.write(`${prefix}${harmless(line)}\n`)
}

/** A release as it is to become a change. */
interface Wanted {
  readonly revision: Revision
  readonly packed: PackedRelease
  readonly duty: ReleaseCommandOptions['duty']
  readonly retry: boolean
}

const requestFor = (
  context: Context,
  { revision, packed, duty, retry }: Wanted,
  dry: boolean,
): ChangeRequest => {
  const { commit, version, subject } = revision
  const operations: Operation[] = [...packed.operations, { kind: 'apply', cell: packed.cell }]
  if (duty !== null) {
    const message = subject.slice(0, MESSAGE_LENGTH_MAX)
    const outcome = { commit, version, kind: 'released' as const, message, output: [] }
    operations.push({ kind: 'record-build', name: duty.name, outcome, after: duty.after })
  }
  const what = `release ${version} (${subject})`
  const message = context.message === null ? what : `${what}: ${context.message}`
  const request = requestOf({ ...context, message: null }, operations, { message, dry })
  return retry ? { ...request, retry } : request
}

const showPlan = (context: Context, change: ChangeReply): void => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  sink.write(showChange(change, sink, paintFor(sink, context.io.environment)))
  for (const warning of change.warnings) warn(context, warning)
}

const push = async (context: Context, client: Client, { packed }: Wanted): Promise<void> => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  const progress = new Progress(sink, paintFor(sink, context.io.environment))
  const lines = new Map<string, ProgressLine>()
  await pushRelease(client, packed, (ref, words) => {
    const mark = words.startsWith('is on') ? 'done' : 'waiting'
    lines.set(ref, { key: ref, mark, text: harmless(`${ref} ${words}`) })
    progress.show([...lines.values()])
  })
}

/** Nobody is asked: the change is made at once, and its reply is what is shown. */
const changeAtOnce = async (context: Context, client: Client, wanted: Wanted): Promise<ChangeReply> => {
  await push(context, client, wanted)
  const change = await client.post<ChangeReply>('/v1/changes', requestFor(context, wanted, false))
  showPlan(context, change)
  tellDone(context, wanted, change)
  return change
}

/** Shows what would change and asks; null: the answer was no. */
const changeWhenConfirmed = async (
  context: Context,
  client: Client,
  wanted: Wanted,
): Promise<ChangeReply | null> => {
  const preview = await client.post<ChangeReply>('/v1/changes', requestFor(context, wanted, true))
  showPlan(context, preview)
  if (isEmptyChange(preview)) {
    tellDone(context, wanted, preview)
    return preview
  }
  tell(context, summaryOf(preview))
  const question = `release ${wanted.revision.version} to ${wanted.packed.cell.name}?`
  if (!(await isConfirmed(context, false, question))) {
    tell(context, 'nothing was changed')
    return null
  }
  await push(context, client, wanted)
  const change = await client.post<ChangeReply>('/v1/changes', requestFor(context, wanted, false))
  tellDone(context, wanted, change)
  return change
}

const tellDone = (context: Context, { revision, packed }: Wanted, { change, ...rest }: ChangeReply): void => {
  const { name } = packed.cell
  if (change !== null) tell(context, `released ${revision.version} to ${name} as change ${short(change)}`)
  else if (isEmptyChange({ change, ...rest }))
    tell(context, `${name} is at ${revision.version} already; nothing to change`)
}

const follow = async (
  context: Context,
  client: Client,
  { revision, packed }: Pick<Wanted, 'revision' | 'packed'>,
  change: ChangeReply,
  { wait }: ReleaseCommandOptions,
  startMs: number,
): Promise<number> => {
  const { name } = packed.cell
  const outcome = wait
    ? await followConvergence(
        context,
        client,
        context.timeoutMs ?? WAIT_DEFAULT_MS,
        (slot) => slot.startsWith(`${name}/`),
        change.releases,
      )
    : null
  const durationMs = Math.round(performance.now() - startMs)
  if (context.json) {
    const status = await client.get<StatusReply>('/v1/status')
    writeJson(context, {
      version: revision.version,
      commit: revision.commit,
      packages: Object.fromEntries(packed.refs),
      change: change.change,
      digest: change.digest,
      accepted: outcome?.accepted ?? change.accepted,
      converged: outcome?.converged ?? false,
      durationMs,
      services: status.cells.find((cell) => cell.name === name)?.services ?? [],
      hindrances: outcome?.hindrances ?? [],
      asOf: status.asOf,
    })
  }
  if (outcome !== null && outcome.failure !== null) throw outcome.failure
  if (outcome !== null) tell(context, `${name} runs ${revision.version} after ${formatDuration(durationMs)}`)
  return EXIT.done
}
