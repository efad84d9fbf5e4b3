// `tutti simulate` and `tutti rebalance`: what would be, without an edit. The peer works it out; this file asks and shows.

import { messageOf } from '../../lib/errors.ts'
import { formatSize, parseSize } from '../../lib/time.ts'
import type {
  AddedPeer,
  RebalanceReply,
  SimulationReply,
  SimulationRequest,
} from '../../node/serve/api/contract-simulate.ts'
import { checkLimits, loadCellFile } from '../cell-file/read.ts'
import { suggestion } from '../cell-file/problem.ts'
import { clientOf } from '../client.ts'
import { EXIT, UsageError } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { cell, counted, harmless, paintFor, table, type Paint } from '../render.ts'
import { editLines, slotLine } from '../show-change.ts'
import { tellFreshness, warn } from '../talk.ts'

export interface SimulateOptions {
  readonly kill: readonly string[]
  readonly cordon: readonly string[]
  readonly drain: readonly string[]
  /** Each as in `cpus=4,memory=8G,label.zone=eu-1`. */
  readonly add: readonly string[]
  readonly file: string | undefined
  readonly losses: boolean
}

// The peer looks for ten seconds at most; the rest is its first election and the way.
const SIMULATION_TIMEOUT_MS = 60_000
const KEYS = ['name', 'cpus', 'memory']

/** A machine as `--add` describes it. @throws UsageError. */
export const parseAdded = (text: string): AddedPeer => {
  const form = 'write it as in cpus=4,memory=8G,label.zone=eu-1'
  const fields = new Map<string, string>()
  const labels: [string, string][] = []
  for (const part of text.split(',')) {
    const equals = part.indexOf('=')
    const [key, value] = [part.slice(0, equals).trim(), part.slice(equals + 1).trim()]
    if (equals < 1 || value === '') throw new UsageError(`'${part}' says nothing of a machine; ${form}`)
    if (key.startsWith('label.')) labels.push([key.slice('label.'.length), value])
    else if (KEYS.includes(key)) fields.set(key, value)
    else throw new UsageError(`a machine has no '${key}'${suggestion(key, KEYS) || `; ${form}`}`)
  }
  const name = fields.get('name')
  const cpus = Number(fields.get('cpus'))
  if (!(cpus > 0)) throw new UsageError(`a machine needs cpus; ${form}`)
  return {
    ...(name === undefined ? {} : { name }),
    cpusMilli: Math.round(cpus * 1000),
    memoryBytes: sizeOf(fields.get('memory') ?? '', form),
    labels: Object.fromEntries(labels),
  }
}

const sizeOf = (text: string, form: string): number => {
  try {
    return parseSize(text)
  } catch (thrown) {
    throw new UsageError(text === '' ? `a machine needs memory; ${form}` : messageOf(thrown), {
      cause: thrown,
    })
  }
}

/** `tutti simulate` */
export const simulate = async (context: Context, options: SimulateOptions): Promise<number> => {
  const { kill, cordon, drain, add, file, losses } = options
  const request: SimulationRequest = {
    kill: [...kill],
    cordon: [...cordon],
    drain: [...drain],
    add: add.map(parseAdded),
    operations: file === undefined ? [] : [await applyOf(context, file)],
    losses,
  }
  const client = clientOf(context)
  const reply = await client.post<SimulationReply>('/v1/simulations', request, SIMULATION_TIMEOUT_MS)
  for (const warning of reply.warnings) warn(context, warning)
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  const asked = kill.length + cordon.length + drain.length + add.length > 0 || file !== undefined
  if (asked) tellChanges(context, reply, paint)
  if (losses) tellLosses(context, reply, paint)
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

const applyOf = async (context: Context, file: string) => {
  const read = loadCellFile(file, context.io.directory, context.io.environment)
  for (const warning of read.warnings) warn(context, warning)
  await checkLimits(read)
  return { kind: 'apply' as const, cell: read.cell }
}

const tellChanges = (context: Context, { edits, slots, outages }: SimulationReply, paint: Paint): void => {
  const { stdout } = context.io
  for (const line of editLines(edits, stdout, paint)) tell(context, line)
  for (const slot of slots) tell(context, slotLine(slot, paint))
  const placed = new Set(slots.map(({ slot }) => slot))
  for (const { slot, reason } of outages)
    if (!placed.has(slot)) tell(context, outageLine(slot, reason, paint))
  const moves = slots.filter(({ kind }) => kind === 'move').length
  if (slots.length + outages.length === 0) tell(context, 'no slot would change')
  else tell(context, `${counted(moves, 'slot')} would move, ${outages.length} would not run`)
}

const tellLosses = (
  context: Context,
  { losses, unchecked, survivable }: SimulationReply,
  paint: Paint,
): void => {
  const verdict =
    survivable === true
      ? paint('green', 'any one machine may be lost: everything runs again on the others')
      : unchecked.length > 0 && losses.every((loss) => loss.survivable)
        ? paint('yellow', 'not all machines were looked at')
        : paint('red', 'not every machine may be lost')
  tell(context, verdict)
  for (const { peer, survivable: survives, moves, outages, interrupted } of losses) {
    const words = survives ? paint('green', 'survivable') : paint('red', `${outages.length} would not run`)
    tell(context, `  without ${harmless(peer)}: ${words}, ${counted(moves, 'slot')} would move`)
    for (const { slot, reason } of outages) tell(context, `  ${outageLine(slot, reason, paint)}`)
    if (interrupted.length > 0)
      tell(context, `    ${paint('dim', harmless(`runs nowhere else meanwhile: ${interrupted.join(', ')}`))}`)
  }
  if (unchecked.length > 0) tell(context, `  not looked at: ${harmless(unchecked.join(', '))}`)
}

const outageLine = (slot: string, reason: string, paint: Paint): string =>
  `${paint('red', `  ! ${harmless(slot)} would not run`)} ${paint('dim', `(${harmless(reason)})`)}`

/** `tutti rebalance` */
export const rebalance = async (context: Context): Promise<number> => {
  const reply = await clientOf(context).get<RebalanceReply>('/v1/rebalance')
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  tell(context, 'nothing to do: placement is computed from what is wanted and who is here, and never drifts')
  const rows = reply.peers.map(({ peer, slots, reservedCpusMilli, reservedMemoryBytes }) => [
    cell(peer),
    cell(slots),
    cell(reservedCpusMilli / 1000),
    cell(formatSize(reservedMemoryBytes)),
  ])
  stdout.write(table(['PEER', 'SLOTS', 'CPUS RESERVED', 'MEMORY RESERVED'], rows, stdout, paint))
  for (const { slot, peer, home, reason } of reply.away)
    tell(context, harmless(`${slot} is on ${peer}, away from its home: ${home} ${reason}`))
  if (reply.gone.length > 0) {
    const words = `${reply.gone.join(', ')} ${reply.gone.length === 1 ? 'is' : 'are'} gone and still counted as a home`
    tell(context, `${harmless(words)}; removed with tutti peers rm, this would move:`)
    if (reply.anew.length === 0) tell(context, '  nothing')
    for (const slot of reply.anew) tell(context, slotLine(slot, paint))
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}
