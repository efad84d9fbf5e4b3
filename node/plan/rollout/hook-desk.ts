// What a pass does about hooks, whichever they are: what is on its way, what is said of it, what is to be done. Filled by
// pre-deploy.ts and verification.ts, handed on by stewardship.ts. Deliberately absent: when a hook runs.

import type { PackageDigest } from '../../../lib/ids.ts'
import type { HookStatus } from '../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../crdt/schema/view.ts'
import type { Action } from '../action.ts'
import type { LocalInstance } from '../local.ts'
import { packageGate } from '../packages.ts'
import type { PlanInput } from '../plan.ts'
import type { Sightings } from '../sightings.ts'
import { beginHook, hookName, stepHook, type HookSpec } from './hooks.ts'

export interface HookDesk {
  readonly input: PlanInput
  readonly sightings: Sightings
  /** All that this peer says of hooks, by `<service>@<release>`. */
  readonly hooks: Map<string, HookStatus>
  readonly actions: Action[]
  readonly waiting: string[]
  readonly wakes: number[]
  /** What hooks that are about to run are made of. */
  readonly packages: Set<PackageDigest>
  /** Hook instances that this pass still needs. */
  readonly needed: Set<string>
}

/** Starts a hook, unless it waits for its package. */
export const startHook = (desk: HookDesk, service: ServiceView, spec: HookSpec): HookStatus => {
  const { kind, attempt } = spec
  const gate = packageGate(desk.input, service)
  if (gate === null) {
    const action = beginHook(service, spec)
    desk.needed.add(action.instance)
    desk.actions.push(action)
  } else if (service.definition.package !== undefined) desk.packages.add(service.definition.package)
  return {
    state: 'running',
    reason: gate === null ? `${hookName(kind)} runs` : `${hookName(kind)}: ${gate}`,
    attempt,
  }
}

/** One step of a run that this peer has begun. */
export const followHook = (
  desk: HookDesk,
  spec: Pick<HookSpec, 'kind' | 'timeoutMs'>,
  instance: LocalInstance,
): HookStatus => {
  const { outcome, action, wakeAtMs } = stepHook(spec, instance, desk.input.nowMs)
  desk.needed.add(instance.id)
  if (action !== null) desk.actions.push(action)
  if (wakeAtMs !== null) desk.wakes.push(wakeAtMs)
  return outcome
}
