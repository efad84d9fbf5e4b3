// `tutti apply` and `tutti plan`: read the cell file, show what would change, ask, change, and follow until every slot is
// ready. The peer computes the plan; this file only shows it.

import type { ChangeReply, ChangeRequest, StatusReply } from '../../node/serve/api/contract.ts'
import { TuttiError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/time.ts'
import { checkLimits, loadCellFile, type CellFile } from '../cell-file/read.ts'
import { requestOf } from '../change-request.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT } from '../exit.ts'
import { WAIT_DEFAULT_MS, followConvergence } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { harmless, paintFor, short } from '../render.ts'
import { packCell, pushCell, type PackedCell } from '../package/automatic.ts'
import { Progress, type ProgressLine } from '../progress.ts'
import { isEmptyChange, showChange, summaryOf } from '../show-change.ts'
import { isConfirmed, tellFreshness, warn } from '../talk.ts'

export interface ApplyOptions {
  readonly file: string
  readonly yes: boolean
  readonly wait: boolean
  /** Also wants releases that were rejected before. */
  readonly retry: boolean
}

const readFile = async (context: Context, file: string): Promise<PackedCell> => {
  const read: CellFile = loadCellFile(file, context.io.directory, context.io.environment)
  for (const warning of read.warnings) warn(context, warning)
  const [built] = read.builds.keys()
  if (built !== undefined)
    throw new TuttiError(
      'unsupported',
      `services.${built}.build: packages are built from a commit; use tutti release -f ${file}`,
    )
  // Packages are pushed before any peer has judged the file.
  if (read.packages.size > 0) await checkLimits(read)
  return await packCell(read)
}

/** Asks for the change; what the file has beyond a limit is refused in the file's own words. */
const ask = async (client: Client, file: PackedCell, request: ChangeRequest): Promise<ChangeReply> => {
  try {
    return await client.post<ChangeReply>('/v1/changes', request)
  } catch (thrown) {
    if (thrown instanceof TuttiError && thrown.code === 'invalid') await checkLimits(file)
    throw thrown
  }
}

const requestFor = (
  context: Context,
  { cell, operations }: PackedCell,
  file: string,
  dry: boolean,
  retry = false,
): ChangeRequest => ({
  ...requestOf(context, [...operations, { kind: 'apply', cell }], {
    message: `apply ${cell.name} from ${file}`,
    dry,
  }),
  ...(retry ? { retry } : {}),
})

const show = (context: Context, change: ChangeReply): void => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  sink.write(showChange(change, sink, paintFor(sink, context.io.environment)))
  for (const warning of change.warnings) warn(context, warning)
}

/** `tutti plan -f FILE`: 0 without changes, 10 with. */
export const plan = async (context: Context, options: { readonly file: string }): Promise<number> => {
  const file = await readFile(context, options.file)
  const client = clientOf(context)
  const change = await ask(client, file, requestFor(context, file, options.file, true))
  if (context.json) {
    writeJson(context, change)
    for (const warning of change.warnings) warn(context, warning)
  } else {
    show(context, change)
    tell(context, isEmptyChange(change) ? 'nothing to change' : summaryOf(change))
    tellFreshness(context, change.asOf)
  }
  return isEmptyChange(change) ? EXIT.done : EXIT.changes
}

/** Brings the directories that the file names to the peers, before anything is changed. */
const push = async (context: Context, client: Client, file: PackedCell): Promise<void> => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  const progress = new Progress(sink, paintFor(sink, context.io.environment))
  const lines = new Map<string, ProgressLine>()
  await pushCell(client, file, (ref, words) => {
    const mark = words.startsWith('is on') || words.startsWith('was there') ? 'done' : 'waiting'
    lines.set(ref, { key: ref, mark, text: harmless(words) })
    progress.show([...lines.values()])
  })
}

/** Nobody is asked, so the change is made at once and its reply is what is shown: the peer works it out once, not twice. */
const changeAtOnce = async (
  context: Context,
  client: Client,
  file: PackedCell,
  { file: path, retry }: ApplyOptions,
): Promise<ChangeReply> => {
  await push(context, client, file)
  const change = await ask(client, file, requestFor(context, file, path, false, retry))
  show(context, change)
  tellDone(context, file, change)
  return change
}

/** Shows what would change and asks; null: the answer was no. */
const changeWhenConfirmed = async (
  context: Context,
  client: Client,
  file: PackedCell,
  { file: path, retry }: ApplyOptions,
): Promise<ChangeReply | null> => {
  const preview = await ask(client, file, requestFor(context, file, path, true, retry))
  show(context, preview)
  if (isEmptyChange(preview)) {
    tell(context, 'nothing to change')
    return preview
  }
  tell(context, summaryOf(preview))
  if (!(await isConfirmed(context, false, `apply this to ${file.cell.name}?`))) {
    tell(context, 'nothing was changed')
    return null
  }
  await push(context, client, file)
  const change = await ask(client, file, requestFor(context, file, path, false, retry))
  if (change.change !== null) tell(context, appliedAs(file, change.change))
  return change
}

const appliedAs = ({ cell }: PackedCell, change: string): string =>
  `applied ${cell.name} as change ${short(change)}`

const tellDone = (context: Context, file: PackedCell, change: ChangeReply): void => {
  if (isEmptyChange(change) && change.change === null) {
    tell(context, 'nothing to change')
    return
  }
  // A conflict that is settled changes no field.
  if (!isEmptyChange(change)) tell(context, summaryOf(change))
  if (change.change !== null) tell(context, appliedAs(file, change.change))
}

// `performance` loads ten modules of Node.js, which a peer would have to wait for.
const sinceStartMs = (): number => process.uptime() * 1000

/** `tutti apply -f FILE`. */
export const apply = async (context: Context, options: ApplyOptions): Promise<number> => {
  const startMs = sinceStartMs()
  const file = await readFile(context, options.file)
  const client = clientOf(context)
  const change = await (options.yes ? changeAtOnce : changeWhenConfirmed)(context, client, file, options)
  if (change === null) return EXIT.failed
  const prefix = `${file.cell.name}/`
  const outcome = options.wait
    ? await followConvergence(
        context,
        client,
        context.timeoutMs ?? WAIT_DEFAULT_MS,
        (slot) => slot.startsWith(prefix),
        change.releases,
      )
    : null
  const durationMs = Math.round(sinceStartMs() - startMs)
  if (context.json) {
    const status = await client.get<StatusReply>('/v1/status')
    const cell = status.cells.find(({ name }) => name === file.cell.name)
    writeJson(context, {
      change: change.change,
      digest: change.digest,
      accepted: outcome?.accepted ?? change.accepted,
      converged: outcome?.converged ?? false,
      durationMs,
      services: cell?.services ?? [],
      hindrances: outcome?.hindrances ?? [],
      asOf: status.asOf,
    })
  }
  if (outcome !== null && outcome.failure !== null) throw outcome.failure
  if (outcome !== null) tell(context, `${file.cell.name} is ready after ${formatDuration(durationMs)}`)
  return EXIT.done
}
