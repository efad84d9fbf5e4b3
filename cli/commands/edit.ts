// Commands that change services that exist: scale, restart, stop, start, rm. Each is one atomic change, several services
// included; with `--wait` it is followed until it is in force.

import { LIMITS } from '../../lib/limits.ts'
import type { ChangeReply, Operation } from '../../node/serve/api/contract.ts'
import { requestOf } from '../change-request.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT, UsageError } from '../exit.ts'
import { WAIT_DEFAULT_MS, followConvergence } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { isWithin, parseRef, parseService } from '../refs.ts'
import { paintFor, short } from '../render.ts'
import { isEmptyChange, showChange } from '../show-change.ts'
import { isConfirmed, tellFreshness, warn } from '../talk.ts'

export interface EditOptions {
  readonly wait: boolean
}

/** Makes one change, shows it, and follows it where that was asked for. */
export const change = async (
  context: Context,
  client: Client,
  message: string,
  operations: readonly Operation[],
  wait: { readonly concerns: (slot: string) => boolean } | null,
): Promise<number> => {
  const reply = await client.post<ChangeReply>('/v1/changes', requestOf(context, operations, { message }))
  for (const warning of reply.warnings) warn(context, warning)
  if (!context.json) {
    const sink = context.io.stdout
    sink.write(showChange(reply, sink, paintFor(sink, context.io.environment)))
    const done = reply.change === null ? '' : ` as change ${short(reply.change)}`
    tell(
      context,
      isEmptyChange(reply) && reply.change === null ? 'nothing to change' : `${message}: done${done}`,
    )
    // With the change: what the next --if-digest is to be.
    tellFreshness(context, { ...reply.asOf, digest: reply.digest })
  }
  if (wait === null) {
    if (context.json) writeJson(context, reply)
    return EXIT.done
  }
  const timeoutMs = context.timeoutMs ?? WAIT_DEFAULT_MS
  const outcome = await followConvergence(context, client, timeoutMs, wait.concerns, reply.releases)
  if (context.json) {
    const { accepted, converged, durationMs } = outcome
    writeJson(context, { ...reply, accepted, converged, durationMs })
  }
  if (outcome.failure !== null) throw outcome.failure
  return EXIT.done
}

const waitFor = (
  services: readonly string[],
  options: EditOptions,
): { concerns: (slot: string) => boolean } | null =>
  options.wait ? { concerns: (slot) => services.some((service) => slot.startsWith(`${service}/`)) } : null

/** `tutti scale CELL/SERVICE=N…` */
export const scale = async (
  context: Context,
  targets: readonly string[],
  options: EditOptions,
): Promise<number> => {
  const operations = targets.map((target) => {
    const [service = '', count = '', ...rest] = target.split('=')
    const replicas = /^\d{1,6}$/.test(count) ? Number(count) : Infinity
    if (rest.length > 0 || replicas > LIMITS.replicasMax) {
      const form = `CELL/SERVICE=N with N from 0 to ${LIMITS.replicasMax}`
      throw new UsageError(`'${target}' is not ${form}; write for example shop/web=3`)
    }
    return { kind: 'scale' as const, service: parseService(service), replicas }
  })
  const services = operations.map(({ service }) => service)
  return change(
    context,
    clientOf(context),
    `scale ${targets.join(' ')}`,
    operations,
    waitFor(services, options),
  )
}

/** `tutti restart|stop|start CELL/SERVICE…` */
export const turn = async (
  context: Context,
  kind: 'restart' | 'stop' | 'start',
  targets: readonly string[],
  options: EditOptions,
): Promise<number> => {
  const services = targets.map(parseService)
  const operations = services.map((service) => ({ kind, service }))
  return change(
    context,
    clientOf(context),
    `${kind} ${targets.join(' ')}`,
    operations,
    waitFor(services, options),
  )
}

/** `tutti rm CELL|CELL/SERVICE…` */
export const remove = async (
  context: Context,
  targets: readonly string[],
  options: EditOptions & { readonly yes: boolean },
): Promise<number> => {
  const refs = targets.map((target) => parseRef(target, 'a cell or a service', 1, 2))
  const operations: Operation[] = refs.map(({ cell, service }) =>
    service === null ? { kind: 'remove-cell', cell } : { kind: 'remove', service: `${cell}/${service}` },
  )
  const client = clientOf(context)
  if (!options.yes) {
    const preview = await client.post<ChangeReply>(
      '/v1/changes',
      requestOf(context, operations, { dry: true }),
    )
    const sink = context.io.stderr
    sink.write(showChange({ ...preview, edits: [] }, sink, paintFor(sink, context.io.environment)))
  }
  if (!(await isConfirmed(context, options.yes, `remove ${targets.join(', ')} for good?`))) {
    tell(context, 'nothing was changed')
    return EXIT.failed
  }
  const wait = options.wait ? { concerns: (slot: string) => refs.some((ref) => isWithin(ref, slot)) } : null
  return change(context, client, `remove ${targets.join(' ')}`, operations, wait)
}
