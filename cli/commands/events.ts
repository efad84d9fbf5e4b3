// `tutti events [-f]`: what happened, as each peer noted it. With `--json` one value; with `-f` too, one value a line.

import type { EventReply, EventsReply } from '../../node/serve/api/contract-streams.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { writeJson, type Context } from '../io.ts'
import { harmless, paintFor, type Colour } from '../render.ts'
import { tellFreshness } from '../talk.ts'

const COLOURS: Readonly<Record<string, Colour>> = {
  unfulfilled: 'red',
  quarantine: 'red',
  conflict: 'yellow',
  member: 'cyan',
  change: 'blue',
}

/** `tutti events [-f]` */
export const listEvents = async (
  context: Context,
  options: { readonly follow: boolean },
): Promise<number> => {
  const client = clientOf(context)
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  const show = ({ at, peer, kind, subject, message }: EventReply): void => {
    const time = paint('dim', new Date(at).toISOString())
    const words = `${harmless(peer)} ${paint(COLOURS[kind] ?? null, harmless(kind))} ${harmless(`${subject} ${message}`)}`
    stdout.write(`${time} ${words}\n`)
  }
  if (options.follow) {
    const signal = context.io.interruption()
    for await (const event of client.lines<EventReply>('/v1/events', { follow: true }, signal)) {
      if (context.json) stdout.write(`${JSON.stringify(event)}\n`)
      else show(event)
    }
    return EXIT.done
  }
  const reply = await client.get<EventsReply>('/v1/events')
  if (context.json) writeJson(context, reply)
  else {
    for (const event of reply.events) show(event)
    tellFreshness(context, reply.asOf)
  }
  return EXIT.done
}
