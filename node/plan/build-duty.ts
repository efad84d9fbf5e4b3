// Who builds: the steward of a build duty, among the members that can. Pure, and the same on every peer: whoever builds
// already goes on, and a member that says it is hindered (it cannot reach the repository, its disk is full) leaves the
// duty to others as long as there is one. Deliberately absent: commits, which only the steward looks up.

import type { MemberId } from '../../lib/ids.ts'
import type { BuildProgress } from '../../crdt/schema/status.ts'
import type { BuildDutyView } from '../../crdt/schema/view.ts'
import type { PlanInput } from './plan.ts'
import { presentMembers, stewardAmong } from './steward.ts'

/** What the choice depends on. */
export type DutyInput = Pick<PlanInput, 'view' | 'membership' | 'statuses'>

const progressOf = (input: DutyInput, member: MemberId, duty: string): BuildProgress | undefined =>
  input.statuses.get(member)?.builds?.get(duty)

/** Why a member cannot build, in words that follow its name; null: it can. */
export const buildLackOf = (input: DutyInput, id: MemberId): string | null => {
  const member = input.view.members.find((each) => each.id === id)
  const status = input.statuses.get(id)
  if (member === undefined) return 'is no member'
  // Only operators may write what a release is.
  if (member.role !== 'operator') return 'is a runner and may not edit'
  if (member.draining) return 'is draining'
  if (status?.facts?.running === false) return 'has left'
  if (status?.builder === undefined) return 'has not said that it can build'
  return status.builder.lack === '' ? null : status.builder.lack
}

/** The steward of a build duty; null: nobody can build. */
export const buildStewardOf = (duty: string, input: DutyInput): MemberId | null => {
  const present = presentMembers(input)
  const building = present.filter((id) => progressOf(input, id, duty)?.phase === 'building')
  if (building.length > 0) return stewardAmong(`build/${duty}`, building)
  const able = present.filter((id) => buildLackOf(input, id) === null)
  const free = able.filter((id) => progressOf(input, id, duty)?.phase !== 'hindered')
  return stewardAmong(`build/${duty}`, free.length > 0 ? free : able)
}

/** Why nobody builds, in one sentence. */
const whyNobodyBuilds = (input: DutyInput): string => {
  const names = new Map(input.view.members.map(({ id, name }) => [id, name]))
  const reasons = presentMembers(input).map((id) => `${names.get(id) ?? id} ${buildLackOf(input, id) ?? ''}`)
  return `no peer can build: ${reasons.toSorted().slice(0, REASONS_SHOWN).join(', ')}`
}

/** Members' lacks in one sentence; they are mostly alike. */
const REASONS_SHOWN = 5

export const BUILD_DUTY_STATES = ['watching', 'building', 'failed', 'hindered'] as const

/** `failed`: the last commit, which is not tried again unchanged. `hindered`: nobody can build for now. */
export type BuildDutyState = (typeof BUILD_DUTY_STATES)[number]

/** How a duty fares, and why; while it is building, the reason is the commit. */
export const stateOfDuty = (
  input: DutyInput,
  { name, outcome }: BuildDutyView,
): { readonly state: BuildDutyState; readonly reason: string } => {
  const steward = buildStewardOf(name, input)
  if (steward === null) return { state: 'hindered', reason: whyNobodyBuilds(input) }
  const progress = progressOf(input, steward, name)
  if (progress?.phase === 'hindered') return { state: 'hindered', reason: progress.reason }
  if (progress?.phase === 'building') return { state: 'building', reason: progress.commit }
  if (outcome?.kind === 'failed') return { state: 'failed', reason: outcome.message }
  return { state: 'watching', reason: '' }
}
