// `tutti rollback`: goes back to a release or to a moment, as a new edit: shows the plan, asks, changes, and follows until
// it is in force. What it shows is what it does: the change is bound to the state that the plan was made of.

import type { ChangeReply } from '../../node/serve/api/contract.ts'
import { formatDuration } from '../../lib/time.ts'
import { requestOf } from '../change-request.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { WAIT_DEFAULT_MS, followConvergence } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { parseService } from '../refs.ts'
import { paintFor, short } from '../render.ts'
import { isEmptyChange, showChange, summaryOf } from '../show-change.ts'
import { isConfirmed, tellFreshness, warn } from '../talk.ts'

export interface RollbackOptions {
  readonly yes: boolean
  readonly wait: boolean
}

/** `tutti rollback CELL/SERVICE [CHANGE]` */
export const rollback = async (
  context: Context,
  target: string,
  to: string | undefined,
  options: RollbackOptions,
): Promise<number> => {
  const service = parseService(target)
  const client = clientOf(context)
  const operation = { kind: 'rollback', service, ...(to === undefined ? {} : { to }) } as const
  const plan = await client.post<ChangeReply>('/v1/changes', requestOf(context, [operation], { dry: true }))
  const sink = context.json ? context.io.stderr : context.io.stdout
  sink.write(showChange(plan, sink, paintFor(sink, context.io.environment)))
  for (const warning of plan.warnings) warn(context, warning)
  if (isEmptyChange(plan)) {
    tell(context, `nothing to change: ${service} is what it was`)
    if (context.json) writeJson(context, plan)
    return EXIT.done
  }
  tell(context, summaryOf(plan))
  if (!(await isConfirmed(context, options.yes, `roll ${service} back?`))) {
    tell(context, 'nothing was changed')
    return EXIT.failed
  }
  // Of two who roll back at once the second would go back to what the first one left.
  const bound = requestOf({ message: context.message, ifDigest: plan.digest }, [operation], {})
  const reply = await client.post<ChangeReply>('/v1/changes', bound)
  if (reply.change !== null) tell(context, `rolled ${service} back as change ${short(reply.change)}`)
  const outcome = options.wait
    ? await followConvergence(
        context,
        client,
        context.timeoutMs ?? WAIT_DEFAULT_MS,
        (slot) => slot.startsWith(`${service}/`),
        reply.releases,
      )
    : null
  if (context.json) {
    const { accepted = reply.accepted, converged = false, durationMs = 0 } = outcome ?? {}
    writeJson(context, { ...reply, accepted, converged, durationMs })
  }
  if (outcome !== null && outcome.failure !== null) throw outcome.failure
  if (outcome !== null) tell(context, `${service} is ready after ${formatDuration(outcome.durationMs)}`)
  else tellFreshness(context, { ...reply.asOf, digest: reply.digest })
  return EXIT.done
}
