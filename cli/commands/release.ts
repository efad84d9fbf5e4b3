// `tutti release`: from a commit to the fleet in one command. Makes the release (release/make-release.ts), shows what it
// would change, asks, changes, and follows until every slot is ready. With `--duty` it is a peer that releases: nobody is
// asked, and how the commit fared is written down by the very change that applies it.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { TuttiError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/time.ts'
import type { ChangeReply, ChangeRequest, Operation, StatusReply } from '../../node/serve/api/contract.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT, Failure } from '../exit.ts'
import { WAIT_DEFAULT_MS, followConvergence } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { ownPrefix } from '../release/leftovers.ts'
import { makeRelease, type MadeRelease } from '../release/make-release.ts'
import { publisherOf } from '../release/publisher.ts'
import { harmless, paintFor, short } from '../render.ts'
import { isEmptyChange, showChange, summaryOf } from '../show-change.ts'
import { isConfirmed, warn } from '../talk.ts'

export interface ReleaseCommandOptions {
  readonly file: string
  readonly repo: string | null
  readonly rev: string
  readonly allowDirty: boolean
  readonly message: string | null
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
  try {
    const made = await makeRelease(
      { ...options, work },
      {
        directory: io.directory,
        environment: io.environment,
        signal: io.interruption(),
        base: work ?? tmpdir(),
        temporary: () => temporary.directory(),
        publisher: publisherOf(context, client),
        show: (service, line) => show(context, service, line),
        warn: (sentence) => warn(context, sentence),
      },
    )
    return await change(context, client, made, options, startMs)
  } finally {
    temporary.remove()
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

const messageOfRelease = ({ revision }: MadeRelease, reason: string | null): string =>
  `release ${revision.version} (${revision.subject})${reason === null ? '' : `: ${reason}`}`.slice(
    0,
    MESSAGE_LENGTH_MAX,
  )

const requestOf = (made: MadeRelease, options: ReleaseCommandOptions, dry: boolean): ChangeRequest => {
  const { cell, revision } = made
  const operations: Operation[] = [{ kind: 'apply', cell }]
  if (options.duty !== null && !dry) {
    const { commit, version, subject } = revision
    const message = subject.slice(0, MESSAGE_LENGTH_MAX)
    const outcome = { commit, version, kind: 'released' as const, message, output: [] }
    operations.push({ kind: 'record-build', name: options.duty.name, outcome, after: options.duty.after })
  }
  return { operations, message: messageOfRelease(made, options.message), dry }
}

const change = async (
  context: Context,
  client: Client,
  made: MadeRelease,
  options: ReleaseCommandOptions,
  startMs: number,
): Promise<number> => {
  const { cell, revision } = made
  const preview = await client.post<ChangeReply>('/v1/changes', requestOf(made, options, true))
  const sink = context.json ? context.io.stderr : context.io.stdout
  sink.write(showChange(preview, sink, paintFor(sink, context.io.environment)))
  for (const warning of preview.warnings) warn(context, warning)
  let changed = preview
  if (isEmptyChange(preview))
    tell(context, `${cell.name} is at ${revision.version} already; nothing to change`)
  else {
    tell(context, summaryOf(preview))
    if (!(await isConfirmed(context, options.yes, `release ${revision.version} to ${cell.name}?`))) {
      tell(context, 'nothing was changed')
      return EXIT.failed
    }
  }
  if (!isEmptyChange(preview) || options.duty !== null) {
    changed = await client.post<ChangeReply>('/v1/changes', requestOf(made, options, false))
    if (changed.change !== null)
      tell(context, `released ${revision.version} to ${cell.name} as change ${short(changed.change)}`)
  }
  const prefix = `${cell.name}/`
  const outcome = options.wait
    ? await followConvergence(context, client, context.timeoutMs ?? WAIT_DEFAULT_MS, (slot) =>
        slot.startsWith(prefix),
      )
    : null
  const durationMs = Math.round(performance.now() - startMs)
  if (context.json) {
    const status = await client.get<StatusReply>('/v1/status')
    writeJson(context, {
      version: revision.version,
      commit: revision.commit,
      packages: Object.fromEntries(made.packages),
      change: changed.change,
      digest: changed.digest,
      accepted: outcome?.accepted ?? changed.accepted,
      converged: outcome?.converged ?? false,
      durationMs,
      services: status.cells.find(({ name }) => name === cell.name)?.services ?? [],
      hindrances: outcome?.hindrances ?? [],
      asOf: status.asOf,
    })
  }
  if (outcome !== null && outcome.failure !== null) throw outcome.failure
  if (outcome !== null)
    tell(context, `${cell.name} runs ${revision.version} after ${formatDuration(durationMs)}`)
  return EXIT.done
}
