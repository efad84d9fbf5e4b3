// `tutti apply` and `tutti plan`: read the cell file, show what would change, ask, change, and follow until every slot is
// ready. The peer computes the plan; this file only shows it.

import type { ChangeReply, ChangeRequest, StatusReply } from '../../node/serve/api/contract.ts'
import { formatDuration } from '../../lib/time.ts'
import { loadCellFile, type CellFile } from '../cell-file/read.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT } from '../exit.ts'
import { WAIT_DEFAULT_MS, followConvergence } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { paintFor, short } from '../render.ts'
import { isEmptyChange, showChange, summaryOf } from '../show-change.ts'
import { isConfirmed, tellFreshness, warn } from '../talk.ts'

export interface ApplyOptions {
  readonly file: string
  readonly yes: boolean
  readonly wait: boolean
  /** Also wants releases that were rejected before. */
  readonly retry: boolean
}

const readFile = (context: Context, file: string): CellFile => {
  const read = loadCellFile(file, context.io.directory, context.io.environment)
  for (const warning of read.warnings) warn(context, warning)
  return read
}

const requestFor = ({ cell }: CellFile, file: string, dry: boolean, retry = false): ChangeRequest => ({
  operations: [{ kind: 'apply', cell }],
  message: `apply ${cell.name} from ${file}`.slice(0, 500),
  dry,
  ...(retry ? { retry } : {}),
})

const show = (context: Context, change: ChangeReply): void => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  sink.write(showChange(change, sink, paintFor(sink, context.io.environment)))
  for (const warning of change.warnings) warn(context, warning)
}

/** `tutti plan -f FILE`: 0 without changes, 10 with. */
export const plan = async (context: Context, options: { readonly file: string }): Promise<number> => {
  const file = readFile(context, options.file)
  const client = clientOf(context)
  const change = await client.post<ChangeReply>('/v1/changes', requestFor(file, options.file, true))
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

/** Nobody is asked, so the change is made at once and its reply is what is shown: the peer works it out once, not twice. */
const changeAtOnce = async (
  context: Context,
  client: Client,
  file: CellFile,
  { file: path, retry }: ApplyOptions,
): Promise<ChangeReply> => {
  const change = await client.post<ChangeReply>('/v1/changes', requestFor(file, path, false, retry))
  show(context, change)
  tellDone(context, file, change)
  return change
}

/** Shows what would change and asks; null: the answer was no. */
const changeWhenConfirmed = async (
  context: Context,
  client: Client,
  file: CellFile,
  { file: path, retry }: ApplyOptions,
): Promise<ChangeReply | null> => {
  const preview = await client.post<ChangeReply>('/v1/changes', requestFor(file, path, true, retry))
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
  const change = await client.post<ChangeReply>('/v1/changes', requestFor(file, path, false, retry))
  if (change.change !== null) tell(context, appliedAs(file, change.change))
  return change
}

const appliedAs = ({ cell }: CellFile, change: string): string =>
  `applied ${cell.name} as change ${short(change)}`

const tellDone = (context: Context, file: CellFile, change: ChangeReply): void => {
  if (isEmptyChange(change) && change.change === null) {
    tell(context, 'nothing to change')
    return
  }
  // A conflict that is settled changes no field.
  if (!isEmptyChange(change)) tell(context, summaryOf(change))
  if (change.change !== null) tell(context, appliedAs(file, change.change))
}

/** `tutti apply -f FILE`. */
export const apply = async (context: Context, options: ApplyOptions): Promise<number> => {
  const startMs = performance.now()
  const file = readFile(context, options.file)
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
  const durationMs = Math.round(performance.now() - startMs)
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
