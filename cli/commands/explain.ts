// `tutti explain`: why a slot is where it is, why not elsewhere, what would change it, and what its release waits for.

import type { ExplainReply, RolloutReply } from '../../node/serve/api/contract.ts'
import { formatDuration } from '../../lib/time.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { parseRef } from '../refs.ts'
import { cell, harmless, paintFor, table } from '../render.ts'
import { isTelling, showRollout, slotReleaseText } from '../rollout-text.ts'
import { tellFreshness } from '../talk.ts'

/** Of the releases that were taken back the last; tutti rollout status shows all. */
const latest = (rollout: RolloutReply): RolloutReply => ({
  ...rollout,
  rejected: rollout.rejected.slice(0, 1),
})

/** `tutti explain CELL/SERVICE[/SLOT]` */
export const explain = async (context: Context, of: string): Promise<number> => {
  const ref = parseRef(of, 'a service or a slot', 2, 3)
  const reply = await clientOf(context).get<ExplainReply>('/v1/placements', { of })
  if (context.json) {
    const [slot] = reply.slots
    const { asOf, rollout } = reply
    writeJson(context, ref.seat !== null && slot !== undefined ? { ...slot, rollout, asOf } : reply)
    return EXIT.done
  }
  const { rollout } = reply
  if (rollout !== undefined && isTelling(rollout)) showRollout(context, latest(rollout), reply.asOf.at)
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  for (const slot of reply.slots) {
    const where = slot.peer === null ? paint('red', 'nowhere') : paint('green', `on ${harmless(slot.peer)}`)
    tell(
      context,
      `${paint('bold', harmless(slot.slot))} ${where}${slot.reason === '' ? '' : `: ${harmless(slot.reason)}`}`,
    )
    if (slot.lease !== undefined) {
      const { holder, token, leftMs } = slot.lease
      tell(context, `lease: ${harmless(holder)}, token ${token}, ${formatDuration(leftMs)} left`)
    }
    const text =
      slot.release === undefined || rollout === undefined
        ? null
        : slotReleaseText(slot.release, rollout.release)
    if (text !== null) tell(context, text)
    const rows = slot.candidates
      .toSorted((a, b) => a.rank - b.rank)
      .map(({ peer, eligible, reasons, rank }) => [
        cell(rank),
        cell(peer, peer === slot.peer ? 'green' : null),
        cell(eligible ? 'yes' : 'no', eligible ? 'green' : 'red'),
        cell(reasons.join('; ') || '-'),
      ])
    if (rows.length > 0) stdout.write(table(['RANK', 'PEER', 'ELIGIBLE', 'REASONS'], rows, stdout, paint))
    if (slot.unfulfilled !== null && slot.peer !== null) {
      const { reason, exit, output } = slot.unfulfilled
      const end = exit === null ? '' : ` (last exit: ${exit.signal ?? exit.code ?? 'unknown'})`
      tell(context, `${paint('red', 'unfulfilled')}: ${harmless(reason)}${end}`)
      for (const line of output) tell(context, `  ${paint('dim', '|')} ${harmless(line)}`)
    }
    for (const change of slot.changes) tell(context, `would change it: ${harmless(change)}`)
  }
  if (reply.slots.length === 0) tell(context, `${of} has no slots`)
  tellFreshness(context, reply.asOf)
  return EXIT.done
}
