// `tutti rollout status|pause|resume|promote|abort|retry`: how far rollouts are, and an operator's word on one. Following
// ends with the rollout, or with what stops it.

import { formatDuration } from '../../lib/time.ts'
import type { RolloutCommand, RolloutReply, RolloutsReply } from '../../node/serve/api/contract.ts'
import type { WatchReply } from '../../node/serve/api/contract-streams.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT, Failure } from '../exit.ts'
import { WAIT_DEFAULT_MS, follow } from '../follow.ts'
import { writeJson, type Context } from '../io.ts'
import { Progress, type ProgressLine } from '../progress.ts'
import { parseService } from '../refs.ts'
import { cell, harmless, paintFor, table } from '../render.ts'
import { PHASE_COLOURS, showRollout } from '../rollout-text.ts'
import { tellFreshness } from '../talk.ts'
import { change } from './edit.ts'

/** `tutti rollout status [CELL/SERVICE]` */
export const rolloutStatus = async (
  context: Context,
  of: string | undefined,
  options: { readonly wait: boolean },
): Promise<number> => {
  const service = of === undefined ? undefined : parseService(of)
  const client = clientOf(context)
  let reply = await client.get<RolloutsReply>('/v1/rollouts', { service })
  let failure: Failure | null = null
  if (options.wait) {
    failure = await followRollouts(context, client, reply.rollouts)
    reply = await client.get<RolloutsReply>('/v1/rollouts', { service })
  }
  if (context.json) writeJson(context, reply)
  else if (service === undefined || reply.rollouts.length !== 1) showTable(context, reply)
  else for (const rollout of reply.rollouts) showRollout(context, rollout, reply.asOf.at)
  if (!context.json) tellFreshness(context, reply.asOf)
  if (failure !== null) throw failure
  return reply.rollouts.some(({ phase }) => phase === 'failed') ? EXIT.failed : EXIT.done
}

/** `tutti rollout pause|resume|promote|abort|retry CELL/SERVICE` */
export const sayRollout = async (
  context: Context,
  order: RolloutCommand,
  of: string,
  options: { readonly wait: boolean },
): Promise<number> => {
  const service = parseService(of)
  const wait =
    options.wait && order !== 'pause' ? { concerns: (slot: string) => slot.startsWith(`${service}/`) } : null
  const operation = { kind: 'rollout' as const, service, order }
  return await change(context, clientOf(context), `rollout ${order} ${service}`, [operation], wait)
}

const showTable = (context: Context, reply: RolloutsReply): void => {
  const { stdout, environment } = context.io
  const head = ['SERVICE', 'RELEASE', 'PHASE', 'READY', 'OPEN', 'FOR', 'STEWARD', 'REASON']
  const rows = reply.rollouts.map((rollout) => [
    cell(rollout.service),
    cell(rollout.release),
    cell(rollout.phase, PHASE_COLOURS[rollout.phase] ?? null),
    cell(`${rollout.ready}/${rollout.slots}`),
    cell(`${rollout.open}/${rollout.slots}`),
    cell(rollout.since === 0 ? '-' : formatDuration(Math.max(0, reply.asOf.at - rollout.since))),
    cell(rollout.steward ?? '-'),
    cell(rollout.reason || '-'),
  ])
  stdout.write(table(head, rows, stdout, paintFor(stdout, environment)))
}

/** Until every one of them is over. */
const followRollouts = async (
  context: Context,
  client: Client,
  rollouts: readonly RolloutReply[],
): Promise<Failure | null> => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  const progress = new Progress(sink, paintFor(sink, context.io.environment))
  const wanted = new Map(rollouts.map(({ service, release }) => [service, release]))
  const outcome = await follow(
    context,
    client,
    context.timeoutMs ?? WAIT_DEFAULT_MS,
    ({ rollouts: seen = [] }: WatchReply) => {
      const rows = seen.filter(({ service }) => wanted.has(service))
      progress.show(rows.map(lineOf))
      const bad = rows.find((row) => stopOf(row, wanted.get(row.service)) !== null)
      const isOver = rows.every(({ phase, steward }) => phase === 'done' || steward === null)
      return { isOver, failure: bad === undefined ? null : stopOf(bad, wanted.get(bad.service)) }
    },
    ({ isOver, failure }) => isOver || failure !== null,
  )
  progress.settle()
  if (outcome.kind === 'interrupted')
    return new Failure(EXIT.interrupted, 'stopped waiting; the rollout goes on')
  if (outcome.kind === 'timeout') {
    const after = formatDuration(outcome.elapsedMs)
    return new Failure(EXIT.timeout, `not done after ${after}; wait longer with --timeout`)
  }
  const failure = outcome.last?.failure ?? null
  return failure === null ? null : new Failure(EXIT.failed, harmless(failure))
}

const lineOf = ({ service, phase, ready, slots, reason }: RolloutReply): ProgressLine => ({
  key: harmless(service),
  mark: phase === 'done' ? 'done' : phase === 'failed' ? 'failed' : 'waiting',
  text: harmless(`${phase}, ${ready}/${slots} ready${reason === '' ? '' : `: ${reason}`}`),
})

/** Why a rollout that is followed will not go on by itself; null: it may. */
const stopOf = (
  { service, release, phase, reason, rejected }: RolloutReply,
  wanted: string | undefined,
): string | null => {
  const why = rejected.find((each) => each.release === wanted)
  if (why !== undefined)
    return `rollout of ${service} to ${why.release} failed: ${why.reason}; back to ${why.to}`
  if (release === wanted && phase === 'paused') return `rollout of ${service} is paused: ${reason}`
  return null
}
