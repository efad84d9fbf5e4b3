// Actions on one instance, as a plan would have them.

import type { Action, StartAction, StopAction } from '../../../../node/plan/action.ts'
import { recordFor } from '../../../contracts/driver.ts'

export const startOf = (
  command: readonly string[],
  change: Partial<StartAction['definition']> = {},
  seat = 0,
): StartAction => {
  const { instance, slot, service, release, definition, cpusMilli, memoryBytes } = recordFor(command, {
    seat,
  })
  return {
    kind: 'start',
    proofMs: 0,
    instance,
    slot,
    service,
    release,
    cpusMilli,
    memoryBytes,
    reason: 'test',
    definition: { ...definition, ...change },
  }
}
export const stopOf = ({ instance }: StartAction, graceMs = 5000): StopAction => ({
  kind: 'stop',
  instance,
  signal: 'SIGTERM',
  graceMs,
  reason: 'test',
})
export const actOn = ({ instance }: StartAction, kind: 'restart' | 'drain' | 'forget'): Action => ({
  kind,
  instance,
  reason: 'test',
})
