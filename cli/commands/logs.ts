// `tutti logs`: the output of instances from every peer, present and gone, in the order of time. Followed, it outlives the
// peer that it asks: it asks again once that is back, and shows no line twice. With `--json` one array; with `-f` too, one
// value a line. Nothing is gathered here: what is read is written, at the pace of whoever reads it.

import { setTimeout } from 'node:timers/promises'
import { asTuttiError } from '../../lib/errors.ts'
import { hash32 } from '../../lib/hash.ts'
import { Told } from '../../lib/told.ts'
import type { LogReply } from '../../node/serve/api/contract-streams.ts'
import { clientOf, type Client, type Query } from '../client.ts'
import { EXIT } from '../exit.ts'
import type { Context } from '../io.ts'
import { parseRef } from '../refs.ts'
import { harmless, paintFor, widthOf, type Colour } from '../render.ts'

export interface LogsOptions {
  readonly follow: boolean
  readonly tail: number | undefined
  /** Wall time in milliseconds. */
  readonly since: number | undefined
  readonly until: number | undefined
  readonly timestamps: boolean
  readonly stream: 'stdout' | 'stderr' | undefined
  readonly grep: string | undefined
}

const COLOURS: readonly Colour[] = ['cyan', 'green', 'magenta', 'blue', 'yellow']
// A restarted peer is back within a second or two.
const RECONNECT_MS = 500
// Before the last line shown: lines of several peers come up to this late, and their clocks differ.
const OVERLAP_MS = 15_000

/** `tutti logs [-f] [-n N] [--since D] [--until D] CELL[/SERVICE[/SLOT]]` */
export const showLogs = async (context: Context, of: string, options: LogsOptions): Promise<number> => {
  parseRef(of, 'a cell, a service or a slot', 1, 3)
  const { stdout, stderr } = context.io
  const { tail, since, until, stream, grep } = options
  const query = { of, tail, since, until, stream, grep, follow: options.follow ? true : undefined }
  const signal = context.io.interruption()
  const client = clientOf(context)
  const show = shownBy(context, options)
  if (options.follow) {
    for await (const line of followed(context, client, query, signal)) {
      if (context.json) stdout.write(`${JSON.stringify(line)}\n`)
      else show(line)
    }
    return EXIT.done
  }
  let count = 0
  let isSilent = true
  for await (const line of client.lines<LogReply>('/v1/logs', query, signal)) {
    if (context.json) stdout.write(`${count === 0 ? '[' : ','}\n${JSON.stringify(line)}`)
    else show(line)
    count += 1
    if (line.stream !== 'notice') isSilent = false
  }
  if (context.json) stdout.write(count === 0 ? '[]\n' : '\n]\n')
  else if (isSilent) stderr.write(`no output of ${of} is kept${isLimited(options) ? ' that fits' : ''}\n`)
  return EXIT.done
}

const isLimited = ({ since, until, stream, grep }: LogsOptions): boolean =>
  [since, until, stream, grep].some((limit) => limit !== undefined)

/** Shows one line to a person: where it is from, and what it says. */
const shownBy = (context: Context, options: LogsOptions): ((line: LogReply) => void) => {
  const { stdout, stderr, environment } = context.io
  const paint = paintFor(stdout, environment)
  // What programs print must not drive the terminal; a file or another program gets it as it is.
  const clean = (text: string): string => (stdout.isTerminal ? harmless(text) : text)
  let width = 0
  return (line) => {
    if (line.stream === 'notice') {
      const of = line.slot === '' ? line.peer : `${line.slot} ${line.peer}`
      stderr.write(`${harmless(`${of}: ${line.text}`)}\n`)
      return
    }
    const label = harmless(`${line.slot} ${line.peer}`)
    // Columns are for eyes; where nobody looks a line depends on nothing before it.
    if (stdout.isTerminal) width = Math.max(width, widthOf(label))
    const colour = COLOURS[hash32(line.slot) % COLOURS.length] ?? null
    const time = options.timestamps ? `${paint('dim', new Date(line.at).toISOString())} ` : ''
    stdout.write(`${time}${paint(colour, `${label.padEnd(width)} |`)} ${clean(line.text)}\n`)
  }
}

/** What comes, for as long as nobody interrupts. @throws TuttiError when the first question is not answered. */
async function* followed(
  context: Context,
  client: Client,
  query: Query,
  signal: AbortSignal,
): AsyncGenerator<LogReply> {
  const told = new Told()
  let isMissing = false
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const since = told.at === null ? query['since'] : told.at - OVERLAP_MS
    const isResumed = !isFirst && since !== undefined
    const resumed = isResumed ? { ...query, since, tail: undefined, resume: true } : query
    told.askedAgain()
    try {
      for await (const line of client.lines<LogReply>('/v1/logs', resumed, signal)) {
        isFirst = false
        isMissing = false
        if (line.stream !== 'notice') {
          const stream = `${line.peer} ${line.instance} ${line.stream}`
          if (told.has(stream, line.offset)) continue
          told.note(stream, line.offset, line.at)
        }
        yield line
      }
    } catch (thrown) {
      const { code } = asTuttiError(thrown)
      if (isFirst || (code !== 'unreachable' && code !== 'busy')) throw thrown
    }
    if (signal.aborted) return
    if (!isMissing)
      context.io.stderr.write(
        `lost the peer on ${harmless(client.name)}; it is asked again until it is back\n`,
      )
    isMissing = true
    // It fails only when it is aborted, and the loop sees that.
    await setTimeout(RECONNECT_MS, undefined, { signal }).catch(() => undefined)
  }
}
