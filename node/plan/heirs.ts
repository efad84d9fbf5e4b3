// Heirs: for which living runs a successor is prepared ahead, and on which terms it may follow without its peer. An heir
// does at once what restart.ts would decide at the end of the run anyway, so it is prepared only where that decision is a
// restart without a pause, whatever happens until then; in every other case the end waits for the plan. How one is
// prepared, and what keeps two from running, is the driver's (docs/adr/0017-heirs.md).

import { unreachable } from '../../lib/assert.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { Action } from './action.ts'
import { healthOf } from './health.ts'
import type { HeirTerms, LocalInstance } from './local.ts'
import { immediateAfterMs } from './restart.ts'

/** An instance that stays, and whether as the one that is wanted. */
export interface Testator {
  readonly instance: LocalInstance
  readonly service: ServiceView
  /** It is of the wanted release, in the wanted place; nothing is about to take its place. */
  readonly isWanted: boolean
}

/** Policies under which a run needs nobody's leave to begin. Others are fenced, and a fence is the peer's to hold. */
const UNFENCED: readonly string[] = ['run', 'stay']

/** On which terms the present run may have an heir; null: on none. */
export const heirTermsOf = ({ instance, service, isWanted }: Testator): HeirTerms | null => {
  const { condition, attemptsMax, delayMs, windowMs } = service.restart
  const { phase, draining, failuresInARow } = instance
  if (!isWanted || phase !== 'running' || draining || !UNFENCED.includes(service.onPartition)) return null
  // A run that ends before its window is over is one more failed one, which may be one too many.
  const mayBeYoung = delayMs === 0 && (attemptsMax === null || failuresInARow < attemptsMax)
  const afterMs = mayBeYoung ? 0 : Math.max(windowMs, immediateAfterMs(service.restart))
  switch (condition) {
    case 'none':
      return null
    case 'any':
    case 'on-failure':
      return { condition, afterMs }
    default:
      return unreachable(condition)
  }
}

/** Whether a prepared heir does nothing that the terms do not allow; it may do less. */
const isWithin = (prepared: HeirTerms, terms: HeirTerms | null): boolean =>
  terms !== null && prepared.condition === terms.condition && prepared.afterMs >= terms.afterMs

/**
 * What is to be prepared and taken back. Preparing waits while this peer starts or ends anything (`busy`): it is worth
 * nothing to the instances that run, and would hold up those that do not yet.
 */
export const heirActions = (
  testators: readonly Testator[],
  { nowMs, busy }: { readonly nowMs: number; readonly busy: boolean },
): readonly Action[] =>
  testators.flatMap((testator): readonly Action[] => {
    const { instance } = testator
    const { id, heir } = instance
    const terms = heirTermsOf(testator)
    if (heir !== undefined && heir !== 'unavailable') {
      if (instance.phase !== 'running' || isWithin(heir, terms)) return []
      return [{ kind: 'disarm', instance: id, reason: 'its end is to be decided upon when it comes' }]
    }
    if (busy || terms === null || heir === 'unavailable') return []
    if (healthOf(instance, nowMs).state !== 'ready') return []
    return [{ kind: 'arm', instance: id, terms, reason: 'an end of it is followed at once' }]
  })
