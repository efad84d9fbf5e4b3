// `tutti logs`: the output of a service's instances from every peer, present and gone, in the order of time. With `--json`
// one array; with `-f` too, one value a line.

import { compareStrings } from '../../lib/order.ts'
import { hash32 } from '../../lib/hash.ts'
import type { LogReply } from '../../node/serve/api/contract.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { writeJson, type Context } from '../io.ts'
import { parseRef } from '../refs.ts'
import { harmless, paintFor, widthOf, type Colour } from '../render.ts'

export interface LogsOptions {
  readonly follow: boolean
  readonly tail: number | undefined
  readonly sinceMs: number | undefined
  readonly timestamps: boolean
}

const COLOURS: readonly Colour[] = ['cyan', 'green', 'magenta', 'blue', 'yellow']

/** `tutti logs [-f] [-n N] [--since D] CELL/SERVICE[/SLOT]` */
export const showLogs = async (context: Context, of: string, options: LogsOptions): Promise<number> => {
  parseRef(of, 'a service or a slot', 2, 3)
  const { stdout, stderr, environment } = context.io
  const query = {
    of,
    tail: options.tail,
    since: options.sinceMs === undefined ? undefined : Date.now() - options.sinceMs,
    follow: options.follow ? true : undefined,
  }
  const signal = context.io.interruption()
  const lines = clientOf(context).lines<LogReply>('/v1/logs', query, signal)
  const paint = paintFor(stdout, environment)
  let width = 0
  const show = (line: LogReply): void => {
    if (context.json) {
      stdout.write(`${JSON.stringify(line)}\n`)
      return
    }
    if (line.stream === 'notice') {
      stderr.write(`${harmless(`${line.peer}: ${line.text}`)}\n`)
      return
    }
    const label = harmless(`${line.slot} ${line.peer}`)
    width = Math.max(width, widthOf(label))
    const colour = COLOURS[hash32(line.slot) % COLOURS.length] ?? null
    const time = options.timestamps ? `${paint('dim', new Date(line.at).toISOString())} ` : ''
    const head = paint(colour, `${label.padEnd(width)} |`)
    stdout.write(`${time}${head} ${harmless(line.text)}\n`)
  }
  if (options.follow) {
    for await (const line of lines) show(line)
    return EXIT.done
  }
  const all: LogReply[] = []
  for await (const line of lines) all.push(line)
  // Peers answer one after the other at worst; people read by time. Stable: lines of one instance keep their order.
  all.sort((a, b) => a.at - b.at || compareStrings(a.peer, b.peer))
  if (context.json) writeJson(context, all)
  else {
    width = Math.max(0, ...all.map(({ slot, peer }) => widthOf(harmless(`${slot} ${peer}`))))
    for (const line of all) show(line)
    if (all.every(({ stream }) => stream === 'notice')) stderr.write(`no output of ${of} is kept\n`)
  }
  return EXIT.done
}
