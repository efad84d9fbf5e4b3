// What to probe, as a plain value: the plan's probes with the port numbers that an instance got. How and when is the
// prober's; what the tally means is the plan's (health.ts).

import { unreachable } from '../../lib/assert.ts'
import { HEALTHCHECK_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import { livenessOf, probeOf, thresholdsOf, type ProbeSpec as PlannedProbe } from '../plan/health.ts'

interface ProbeTimes {
  /** Between the end of one probe and the next, once it has succeeded; never longer before. */
  readonly intervalMs: number
  /** One failure counts in this time before the first success. */
  readonly countEveryMs: number
  readonly timeoutMs: number
  /** Failures in this time after the start do not count. */
  readonly startPeriodMs: number
  /** Successes in a row that make one. */
  readonly successes: number
  /** Somebody waits for the first success: until then probes come in quick succession. */
  readonly eager: boolean
  /** One success is all that is asked; then the probing ends. */
  readonly once: boolean
}

/** A named port of an instance. */
export interface ProbedPort {
  readonly name: string
  readonly number: number
}

/** One kind of probe with all that it needs. */
export type ProbeSpec =
  | (ProbeTimes & { readonly kind: 'http'; readonly port: number; readonly path: string })
  /** All of the ports must accept. */
  | (ProbeTimes & { readonly kind: 'tcp'; readonly ports: readonly ProbedPort[] })
  | (ProbeTimes & { readonly kind: 'command'; readonly command: readonly string[] })

// Where only open ports are asked for: a late opening is seen within a second, and an attempt costs next to nothing.
const PORT_INTERVAL_MS = 1000

type PortNumbers = Readonly<Record<string, number>>

/** What to probe an instance's readiness with; null: nothing to ask, running is ready. */
export const probeSpecOf = (definition: ReleaseDefinition, ports: PortNumbers): ProbeSpec | null => {
  const probe = probeOf(definition)
  if (probe === null) return null
  const once = definition.healthcheck === null
  return specOf(probe, ports, {
    intervalMs: once ? PORT_INTERVAL_MS : probe.intervalMs,
    countEveryMs: once ? HEALTHCHECK_DEFAULTS.intervalMs : probe.intervalMs,
    timeoutMs: probe.timeoutMs,
    startPeriodMs: thresholdsOf(definition.healthcheck).startPeriodMs,
    successes: probe.successes,
    eager: true,
    once,
  })
}

/** What to probe an instance's liveness with; null: it has none. */
export const livenessSpecOf = (definition: ReleaseDefinition, ports: PortNumbers): ProbeSpec | null => {
  const probe = livenessOf(definition)
  if (probe === null) return null
  const { intervalMs, timeoutMs, successes } = probe
  const { startPeriodMs } = thresholdsOf(definition.liveness)
  const times = { intervalMs, countEveryMs: intervalMs, timeoutMs, startPeriodMs, successes }
  return specOf(probe, ports, { ...times, eager: false, once: false })
}

const specOf = (probe: PlannedProbe, ports: PortNumbers, times: ProbeTimes): ProbeSpec => {
  // A probe of a port that is not named is refused when the service is applied; port 0 refuses connections and says so.
  const asked = probe.ports.map((name) => ({ name, number: ports[name] ?? 0 }))
  switch (probe.kind) {
    case 'command':
      return { kind: 'command', command: probe.command ?? [], ...times }
    case 'tcp':
      return { kind: 'tcp', ports: asked.length === 0 ? [{ name: '', number: 0 }] : asked, ...times }
    case 'http':
      return { kind: 'http', port: asked[0]?.number ?? 0, path: probe.path ?? '/', ...times }
    default:
      return unreachable(probe.kind)
  }
}
