// The verification of a release: a command, or a question over HTTP, against its first ready instance. It asks and changes
// nothing, so it is the present steward's alone: another steward asks anew, and a run that was cut off is made again.

import { defined } from '../../../lib/assert.ts'
import type { HookStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import { firstPort } from '../health.ts'
import type { SlotEvidence } from './evidence.ts'
import { followHook, startHook, type HookDesk } from './hook-desk.ts'
import { hookInstanceOf } from './hooks.ts'
import type { Duty } from './judge.ts'

/** Names a duty, so that it is begun once. */
export const dutyKeyOf = (duty: Duty): string =>
  `${duty.kind} ${duty.service}@${duty.release} ${duty.kind === 'verify-http' ? duty.attempt : ''}`.trimEnd()

/**
 * The outcome of the verification of the first instance of a release; null: it has passed, or there is none. `attempt` is
 * the operator's word since which it is asked.
 */
export const verifyOf = (
  desk: HookDesk & { readonly duties: Duty[] },
  service: ServiceView,
  evidence: readonly SlotEvidence[],
  attempt: string,
): HookStatus | null => {
  const { verify } = service
  if (verify === undefined || verify === null) return null
  const target = evidence.find(({ ready, attended }) => ready && attended)
  if (target === undefined) return { state: 'running', reason: 'verify waits for a ready instance' }
  const port = target.ports[firstPort(service.definition) ?? '']
  if (verify.http === undefined) return byCommand(desk, service, target.host, port)
  if (port === undefined)
    return { state: 'failed', reason: 'verify asks over HTTP and the service has no port' }
  const duty: Duty = {
    kind: 'verify-http',
    service: service.id,
    release: service.release,
    url: `http://${hostOf(target.host)}:${port}${verify.http}`,
    timeoutMs: verify.timeoutMs,
    attempt,
  }
  const outcome = desk.input.outcomes?.get(dutyKeyOf(duty))
  if (outcome !== undefined && outcome.state !== 'running') return outcome.state === 'done' ? null : outcome
  desk.duties.push(duty)
  return { state: 'running', reason: `verify asks ${duty.url}` }
}

const byCommand = (
  desk: HookDesk,
  service: ServiceView,
  host: string,
  port: number | undefined,
): HookStatus | null => {
  const verify = defined(service.verify, 'the verification')
  const command = defined(verify.command, 'a verification is one of the two')
  const environment: Record<string, string> = {
    TUTTI_VERIFY_HOST: host,
    ...(port === undefined
      ? {}
      : { TUTTI_VERIFY_PORT: String(port), TUTTI_VERIFY_URL: `http://${hostOf(host)}:${port}` }),
  }
  const id = hookInstanceOf(service, 'verify')
  const instance = desk.input.local.find((local) => local.id === id)
  const spec = { kind: 'verify', command, timeoutMs: verify.timeoutMs, environment, attempt: 1 } as const
  if (instance === undefined) return startHook(desk, service, spec)
  const outcome = followHook(desk, spec, instance)
  if (outcome.cutOff === true) {
    desk.needed.delete(id)
    return { state: 'running', reason: 'verify was cut off and is asked again' }
  }
  return outcome.state === 'done' ? null : outcome
}

/** One address for a URL. */
const hostOf = (host: string): string => (host.includes(':') ? `[${host}]` : host)
