// Watches a run while it is on: asks its readiness and its liveness, and forgives earlier failures once it is stable. Notes
// tallies and announces those that say something new; what they mean is the plan's.

import type { InstanceId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { Driver } from '../ports.ts'
import { STABLE_RUN_MS } from '../plan/restart.ts'
import { recordOf } from '../plan/facts.ts'
import { nothing, type Held, type HeldInstances } from './held.ts'
import type { Prober } from './prober.ts'
import { livenessSpecOf, probeSpecOf } from './probe-spec.ts'

/** What it is built from. */
export interface WatchingOptions {
  readonly held: HeldInstances
  readonly driver: Pick<Driver, 'update'>
  readonly prober: Prober
  readonly clock: Clock
  readonly log: Log
  readonly peer: { readonly name: string }
  /** Where an instance runs; command probes run there too. */
  readonly directoryOf: (instance: InstanceId, definition: ReleaseDefinition) => string
}

/** Begins and ends the watching of runs. */
export class Watching {
  readonly #options: WatchingOptions

  constructor(options: WatchingOptions) {
    this.#options = options
  }

  /** `ageMs`: how long the run has been on already. */
  begin(held: Held, environment: Readonly<Record<string, string>>, ageMs: number): void {
    const { directoryOf, held: all, peer, prober } = this.#options
    const { id, definition, ports } = held.facts
    const place = { environment, directory: directoryOf(id, definition), peer: peer.name }
    const liveness = livenessSpecOf(definition, ports)
    if (liveness !== null) {
      held.guarding = prober.watch({ spec: liveness, place, ageMs }, (tally, changed) => {
        all.set(held, { liveness: tally })
        if (changed) all.announce(false)
      })
    }
    const spec = probeSpecOf(definition, ports)
    if (spec !== null) {
      held.probing = prober.watch({ spec, place, ageMs }, (probe, changed) => {
        const urgent = probe.everOk !== held.facts.probe.everOk || probe.everOk
        all.set(held, { probe })
        if (changed) all.announce(urgent)
      })
    }
    if (held.facts.failuresInARow > 0) this.#forgiveLater(held, ageMs)
  }

  end(held: Held): void {
    held.probing?.stop()
    held.guarding?.stop()
    held.probing = null
    held.guarding = null
    held.cancelForgiveness()
    held.cancelForgiveness = nothing
  }

  #forgiveLater(held: Held, ageMs: number): void {
    const { clock, driver, held: all, log } = this.#options
    const { id, stableRunMs = STABLE_RUN_MS } = held.facts
    held.cancelForgiveness = clock.after(Math.max(0, stableRunMs - ageMs), () => {
      all.set(held, { failuresInARow: 0 })
      all.announce(false)
      driver.update(recordOf(held.facts, held.nonce, held.heirNonce)).catch((error: unknown) => {
        log.log('error', `the record of ${id} could not be written`, { error })
      })
    })
  }
}
