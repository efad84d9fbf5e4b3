// `tutti invite`: a ticket that admits machines to the cluster. Only the ticket is on stdout: one line to copy, or to pipe.

import { formatDuration } from '../../lib/time.ts'
import type { InviteReply } from '../../node/serve/api/contract.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { writeJson, type Context } from '../io.ts'
import { typable } from '../program-name.ts'
import { counted } from '../render.ts'

export interface InviteOptions {
  readonly expiresMs: number
  readonly uses: number
  readonly role: 'operator' | 'runner' | undefined
}

/** `tutti invite [--expires 1h] [--uses 1]` */
export const invite = async (context: Context, options: InviteOptions): Promise<number> => {
  const { expiresMs, uses, role } = options
  const reply = await clientOf(context).post<InviteReply>('/v1/invites', { expiresMs, uses, role })
  if (context.json) writeJson(context, reply)
  else {
    context.io.stdout.write(`${reply.ticket}\n`)
    const span = formatDuration(expiresMs)
    const hint = `good for ${counted(reply.uses, 'machine')} within ${span}; run there: tutti up --join TICKET`
    context.io.stderr.write(`${typable(hint, context.io)}\n`)
  }
  return EXIT.done
}
