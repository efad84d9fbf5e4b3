// What to probe, as a plain value: the plan's `probeOf` with the port numbers that an instance got. How and when is the
// prober's; what the tally means is the plan's (health.ts).

import { HEALTHCHECK_DEFAULTS } from '../../crdt/schema/service.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import { firstPort, probeOf, thresholdsOf } from '../plan/health.ts'

interface ProbeTimes {
  /** Between the end of one probe and the next, once one has succeeded; never longer before. */
  readonly intervalMs: number
  /** Before the first success probes come in quick succession; one failure counts in this time. */
  readonly countEveryMs: number
  readonly timeoutMs: number
  /** Failures in this time after the start do not count. */
  readonly startPeriodMs: number
  /** One success is all that is asked; then the probing ends. */
  readonly once: boolean
}

/** One kind of probe with all that it needs. */
export type ProbeSpec =
  | (ProbeTimes & { readonly kind: 'http'; readonly port: number; readonly path: string })
  | (ProbeTimes & { readonly kind: 'tcp'; readonly port: number })
  | (ProbeTimes & { readonly kind: 'command'; readonly command: readonly string[] })

// Where only an open port is asked for: a late opening is seen within a second, and an attempt costs next to nothing.
const PORT_INTERVAL_MS = 1000

/** The number of the service's first port; null: it has none. */
export const firstPortNumber = (
  definition: Pick<ReleaseDefinition, 'ports'>,
  ports: Readonly<Record<string, number>>,
): number | null => {
  const name = firstPort(definition)
  return name === null ? null : (ports[name] ?? null)
}

/** What to probe an instance with; null: nothing to ask, running is ready. */
export const probeSpecOf = (
  definition: ReleaseDefinition,
  ports: Readonly<Record<string, number>>,
): ProbeSpec | null => {
  const probe = probeOf(definition)
  if (probe === null) return null
  const once = definition.healthcheck === null
  const times = {
    intervalMs: once ? PORT_INTERVAL_MS : probe.intervalMs,
    countEveryMs: once ? HEALTHCHECK_DEFAULTS.intervalMs : probe.intervalMs,
    timeoutMs: probe.timeoutMs,
    startPeriodMs: thresholdsOf(definition).startPeriodMs,
    once,
  }
  if (probe.kind === 'command') return { kind: 'command', command: probe.command ?? [], ...times }
  // A probe of a port that is not named is refused when the service is applied; port 0 refuses connections and says so.
  const port = probe.port === null ? 0 : (ports[probe.port] ?? 0)
  if (probe.kind === 'tcp') return { kind: 'tcp', port, ...times }
  return { kind: 'http', port, path: probe.path ?? '/', ...times }
}
