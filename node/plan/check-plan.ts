// The check of a plan: rules that no plan may break, whatever computed it, judged from the input by other means than the
// planner's own. The agent acts on no plan that breaks one (S6, S7, S8). A violation is a bug of ours; better a pass
// without actions than one that takes a service down.

import type { ServiceId } from '../../lib/ids.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'
import type { Action, StartAction } from './action.ts'
import { compareClaims, saidClaims } from './claims.ts'
import { isPresent } from './eligibility.ts'
import { asPlanned, beginGate, isExclusive } from './exclusive.ts'
import { healthOf } from './health.ts'
import type { LocalInstance } from './local.ts'
import { packageGate } from './packages.ts'
import type { Plan, PlanInput } from './plan.ts'
import { isHookSlot } from './rollout/hooks.ts'

/** One sentence for each rule that the plan breaks; empty: it may be executed. */
export const checkPlan = (input: PlanInput, plan: Plan): readonly string[] => {
  const services = new Map(input.view.services.map((service) => [service.id, asPlanned(service)]))
  const local = new Map(input.local.map((instance) => [instance.id as string, instance]))
  const violations: string[] = []
  const seen = new Set<string>()
  for (const action of plan.actions) {
    if (seen.has(action.instance)) violations.push(`${action.instance} has two actions in one plan`)
    seen.add(action.instance)
    if (action.reason === '') violations.push(`${action.kind} of ${action.instance} gives no reason`)
    const instance = local.get(action.instance)
    const broken =
      action.kind === 'start'
        ? checkStart(input, action, services, instance)
        : checkEnding(input, action, services, instance)
    if (broken !== null) violations.push(broken)
    const unleased = checkLease(input, action, services, instance)
    if (unleased !== null) violations.push(unleased)
  }
  violations.push(...checkRoom(input, plan))
  if (plan.wakeAtMs !== null && plan.wakeAtMs <= input.nowMs)
    violations.push('the plan wakes at a time that has passed')
  return violations
}

/** A run of a quorum slot begins under a lease, with a token that none here had, and alone (S9). */
const checkLease = (
  input: PlanInput,
  action: Action,
  services: ReadonlyMap<ServiceId, ServiceView>,
  instance: LocalInstance | undefined,
): string | null => {
  if (action.kind !== 'start' && action.kind !== 'restart') return null
  const slot = action.kind === 'start' ? action.slot : instance?.slot
  const id = action.kind === 'start' ? action.service : instance?.service
  const service = id === undefined ? undefined : services.get(id)
  // A hook is no slot: its steward runs it, where it sees most members.
  if (service === undefined || slot === undefined || !isExclusive(service) || isHookSlot(slot)) return null
  // One that drains and is taken back goes on under the lease that it has.
  if (action.kind === 'start' && instance !== undefined) return null
  if (beginGate(input, service, slot) !== null || action.lease === undefined)
    return `${action.kind} of ${action.instance} without a lease (S9)`
  return null
}

const checkStart = (
  input: PlanInput,
  action: StartAction,
  services: ReadonlyMap<ServiceId, ServiceView>,
  instance: LocalInstance | undefined,
): string | null => {
  const service = services.get(action.service)
  const revives = instance?.phase === 'running' && instance.draining
  const hook = isHookSlot(action.slot)
  if (instance !== undefined && (hook || !revives))
    return `start of ${action.instance}, which exists already (S6)`
  if (service === undefined || service.stopped)
    return `start of ${action.instance}, whose service is not wanted`
  if (service.release !== action.release) return `start of ${action.instance} at a release nobody wants`
  if (hook) return null
  const self = input.view.members.find((member) => member.id === input.self)
  if (self === undefined || self.draining)
    return `start of ${action.instance} on a member that may hold nothing`
  if (!revives && packageGate(input, service) !== null)
    return `start of ${action.instance}, whose package is not here`
  if (service.update.order === 'stop-first' && runsElsewhereHere(input, action))
    return `start of ${action.instance} beside another run of its slot, although it is stop-first`
  return null
}

const runsElsewhereHere = (input: PlanInput, action: StartAction): boolean =>
  input.local.some(
    ({ id, slot, phase }) =>
      id !== action.instance &&
      slot === action.slot &&
      (phase === 'running' || phase === 'stopping' || phase === 'preparing'),
  )

const checkEnding = (
  input: PlanInput,
  action: Exclude<Action, StartAction>,
  services: ReadonlyMap<ServiceId, ServiceView>,
  instance: LocalInstance | undefined,
): string | null => {
  if (instance === undefined) return `${action.kind} of ${action.instance}, which is not ours (S6)`
  const ended = instance.phase === 'exited' || instance.phase === 'broken'
  if (action.kind === 'arm' || action.kind === 'disarm') {
    const lives = instance.phase === 'running' && (action.kind === 'disarm' || !instance.draining)
    return lives ? null : `${action.kind} of ${action.instance}, which does not run to stay (S10)`
  }
  if (action.kind === 'restart' || action.kind === 'forget')
    return ended ? null : `${action.kind} of ${action.instance}, which is ${instance.phase} (S10)`
  if (instance.phase !== 'running') return `${action.kind} of ${action.instance}, which is ${instance.phase}`
  if (action.kind === 'drain' && instance.draining) return `drain of ${action.instance}, which drains already`
  return !isHookSlot(instance.slot) && takesAwayReadiness(input, instance, services.get(instance.service))
    ? `${action.kind} of ${action.instance}, the only ready instance of its slot (S8)`
    : null
}

/** True when ending a ready instance of a wanted start-first slot would leave the slot without a ready one. */
const takesAwayReadiness = (
  input: PlanInput,
  instance: LocalInstance,
  service: ServiceView | undefined,
): boolean => {
  if (service === undefined || service.stopped || service.update.order === 'stop-first') return false
  if (input.view.removed.includes(input.self)) return false
  if (service.mode === 'global') {
    // A global slot whose member is not eligible any more is not wanted; while it is, only its own release replaces it.
    if (input.view.members.some(({ id, draining }) => id === input.self && draining)) return false
    if (!input.local.some((other) => other.slot === instance.slot && other.id !== instance.id)) return false
  } else if (Number(instance.slot.slice(service.id.length + 1)) >= service.replicas) return false
  if (healthOf(instance, input.nowMs).state !== 'ready') return false
  return !readyElsewhere(input, instance)
}

const readyElsewhere = (input: PlanInput, instance: LocalInstance): boolean => {
  const here = input.local.some(
    (other) =>
      other.slot === instance.slot &&
      other.id !== instance.id &&
      healthOf(other, input.nowMs).state === 'ready',
  )
  if (here) return true
  const own = { member: input.self, claim: saidClaims(input).get(instance.slot) ?? 0 }
  return input.membership.members.some(({ id, state }) => {
    if (id === input.self || !isPresent(state)) return false
    for (const { slot, state, claim = 0 } of input.statuses.get(id)?.instances.values() ?? []) {
      if (slot !== instance.slot) continue
      if (state === 'stopped' || (state === 'ready' && compareClaims({ member: id, claim }, own) > 0))
        return true
    }
    return false
  })
}

/** Reservations of everything that runs, ends or restarts here and of what starts fit the declared capacity (S7). */
const checkRoom = (input: PlanInput, plan: Plan): readonly string[] => {
  const starts = plan.actions.filter((action) => action.kind === 'start')
  if (starts.length === 0) return []
  const facts = input.statuses.get(input.self)?.facts ?? null
  if (facts === null) return ['a start on a member that has declared no capacity (S7)']
  const forgotten = new Set<string>(
    plan.actions.flatMap((action) => (action.kind === 'forget' ? [action.instance] : [])),
  )
  const present = new Set<string>(input.local.map(({ id }) => id))
  const begun = starts.filter(({ instance }) => !present.has(instance))
  const counted = [...input.local.filter(({ id }) => !forgotten.has(id)), ...begun]
  const cpusMilli = counted.reduce((sum, one) => sum + one.cpusMilli, 0)
  const memoryBytes = counted.reduce((sum, one) => sum + one.memoryBytes, 0)
  const violations: string[] = []
  if (begun.some((start) => start.cpusMilli > 0) && cpusMilli > facts.cpusMilli)
    violations.push(`reservations of ${cpusMilli} thousandths of a cpu exceed ${facts.cpusMilli} (S7)`)
  if (begun.some((start) => start.memoryBytes > 0) && memoryBytes > facts.memoryBytes)
    violations.push(`reservations of ${memoryBytes} bytes exceed ${facts.memoryBytes} (S7)`)
  return violations
}
