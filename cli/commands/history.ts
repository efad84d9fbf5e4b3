// `tutti history`, `diff` and `status --at`: who changed what, what differs between two moments, and what was wanted at one.

import type {
  DiffReply,
  HistoryChangeReply,
  HistoryReply,
  IntentReply,
} from '../../node/serve/api/contract-history.ts'
import { clientOf } from '../client.ts'
import { EXIT, UsageError } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { parseRef } from '../refs.ts'
import { counted, fitted, harmless, paintFor, short, timeText, type Paint } from '../render.ts'
import { editLines } from '../show-change.ts'
import { tellFreshness } from '../talk.ts'

export interface HistoryOptions {
  readonly limit: number
  /** Wall time. */
  readonly since: number | undefined
}

/** `tutti history [CELL[/SERVICE]]` */
export const showHistory = async (
  context: Context,
  of: string | undefined,
  { limit, since }: HistoryOptions,
): Promise<number> => {
  if (of !== undefined) parseRef(of, 'a cell or a service', 1, 2)
  const reply = await clientOf(context).get<HistoryReply>('/v1/changes', { of, limit, since })
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, stderr, environment } = context.io
  const paint = paintFor(stdout, environment)
  for (const change of reply.changes) {
    stdout.write(`${headOf(change, paint)}\n`)
    for (const line of editLines(change.edits, stdout, paint)) stdout.write(`  ${line}\n`)
    if (change.omitted > 0)
      stdout.write(`  ${paint('dim', `and ${counted(change.omitted, 'field')} more`)}\n`)
  }
  if (reply.changes.length === 0) stderr.write('no changes\n')
  if (reply.more) stderr.write(`there are older ones; see them with -n ${limit * 10}\n`)
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

const headOf = ({ change, at, author, message }: HistoryChangeReply, paint: Paint): string =>
  `${paint('yellow', short(change))} ${timeText(at)} ${paint('bold', harmless(author))} ${harmless(message)}`

/** As the peer reads a moment. */
const MOMENT = /^(now|[0-9a-f]{4,64})(~\d{0,6})?$/

/** `tutti diff A [B] [CELL[/SERVICE]]` */
export const showDiff = async (context: Context, words: readonly string[]): Promise<number> => {
  const [from = '', second, third] = words
  if (!MOMENT.test(from)) throw noMoment(from)
  if (third !== undefined && second !== undefined && !MOMENT.test(second)) throw noMoment(second)
  const isMoment = second !== undefined && MOMENT.test(second)
  const of = isMoment ? third : second
  if (of !== undefined) parseRef(of, 'a cell or a service', 1, 2)
  const to = isMoment ? second : 'now'
  const reply = await clientOf(context).get<DiffReply>('/v1/diff', { from, to, of })
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, environment } = context.io
  for (const line of editLines(reply.edits, stdout, paintFor(stdout, environment))) stdout.write(`${line}\n`)
  if (reply.edits.length === 0) context.io.stderr.write('nothing differs\n')
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

const noMoment = (text: string): UsageError =>
  new UsageError(
    `'${text}' is no change; write the start of one that tutti history lists, or now, or either with ~1 for the one before`,
  )

/** `tutti status --at CHANGE [CELL[/SERVICE]]` */
export const showIntent = async (context: Context, at: string, of: string | undefined): Promise<number> => {
  if (!MOMENT.test(at)) throw noMoment(at)
  const ref = of === undefined ? null : parseRef(of, 'a cell or a service', 1, 2)
  const query = ref === null ? {} : ref.service === null ? { cell: ref.cell } : { service: of }
  const reply = await clientOf(context).get<IntentReply>('/v1/intent', { at, ...query })
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  tell(context, `as it was wanted at ${harmless(at)}, with digest ${short(reply.at.digest)}`)
  if (ref === null) tell(context, `peers: ${harmless(reply.peers.map(peerOf).join(', '))}`)
  for (const { name, services } of reply.cells) {
    tell(context, paint('bold', harmless(name)))
    for (const service of services) {
      const count = service.mode === 'global' ? 'on every peer' : counted(service.replicas, 'replica')
      const words = service.stopped ? 'stopped' : count
      tell(
        context,
        `  ${harmless(`${name}/${service.name}`)}: ${words} ${paint('dim', `release ${service.release}`)}`,
      )
      for (const [field, value] of Object.entries(service.fields)) {
        const columns = stdout.isTerminal ? Math.max(16, stdout.columns - field.length - 8) : Infinity
        tell(context, `    ${harmless(field)}: ${fitted(harmless(value), columns)}`)
      }
    }
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

const peerOf = ({ name, cordoned, draining }: IntentReply['peers'][number]): string =>
  draining ? `${name} (draining)` : cordoned ? `${name} (cordoned)` : name
