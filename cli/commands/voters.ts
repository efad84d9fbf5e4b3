// `tutti voters` and `tutti voters replace`: who votes on leases of quorum slots, and the way out when most of them are gone
// for good.

import type { VotersReplaced, VotersStanding } from '../../node/serve/api/contract-leases.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { harmless } from '../render.ts'
import { isConfirmed, warn } from '../talk.ts'

/** `tutti voters`: exits with 1 when they cannot decide anything now. */
export const showVoters = async (context: Context): Promise<number> => {
  const reply = await clientOf(context).get<VotersStanding>('/v1/voters')
  const { voters, lacking, lost } = reply
  if (context.json) writeJson(context, reply)
  else {
    const { stdout } = context.io
    const list = (names: readonly string[]): string => harmless(names.join(', '))
    if (voters !== null) stdout.write(`voters: ${list(voters.present)}\n`)
    if (voters !== null && voters.former !== null)
      stdout.write(`until now, and still: ${list(voters.former)}\n`)
    stdout.write(`${lacking ?? 'a majority is in sight'}\n`)
    if (voters === null)
      warn(
        context,
        "a peer learns of them when it needs them; if nobody knows any, see 'tutti voters replace'",
      )
    else if (lost)
      warn(context, "too few of them are members still to decide anything; see 'tutti voters replace'")
  }
  return lacking === null ? EXIT.done : EXIT.failed
}

/** `tutti voters replace` */
export const replaceVoters = async (
  context: Context,
  options: { readonly yes: boolean },
): Promise<number> => {
  const question =
    'every peer that was removed must be switched off, else a quorum slot may run twice. Make all operators the voters?'
  if (!(await isConfirmed(context, options.yes, question))) {
    tell(context, 'nothing was changed')
    return EXIT.failed
  }
  const reply = await clientOf(context).post<VotersReplaced>('/v1/voters', {})
  if (context.json) writeJson(context, reply)
  else
    tell(
      context,
      `the voters are ${harmless(reply.present.join(', '))} now; quorum slots begin within half a minute`,
    )
  return EXIT.done
}
