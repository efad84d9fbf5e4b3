// Edits of build duties, as pure functions of the view. A duty's outcome is written by the very change that applies the
// release, and only on top of the outcome that its build began from: so of two stewards one writes, and one that was
// held up cannot take the cell back to an older commit.

import { TuttiError } from '../lib/errors.ts'
import { canonicalJson } from '../lib/order.ts'
import type { Edit, Scalar } from './edit.ts'
import { nearest } from './nearest.ts'
import { BUILD_DUTIES_MAX, type BuildDuty, type BuildOutcome } from './schema/build-duty.ts'
import type { BuildDutyView, View } from './schema/view.ts'

const edit = (name: string, field: 'duty' | 'outcome', value: Scalar): Edit => ({
  container: 'cells',
  key: `build-duties/${name}/${field}`,
  value,
})

/** The duty of that name. @throws TuttiError `unknown`. */
export const buildDutyOf = (view: View, name: string): BuildDutyView => {
  const duties = view.buildDuties ?? []
  const duty = duties.find((each) => each.name === name)
  if (duty !== undefined) return duty
  const names = duties.map((each) => each.name)
  throw new TuttiError('unknown', `there is no build duty '${name}'${nearest(name, names)}`)
}

/** `https://user:password@…`, `https://token@…`; ssh's user is no secret. */
const WITH_SECRET = /^(https?:\/\/[^/]*@|[a-z][a-z0-9+.-]*:\/\/[^/@]*:[^/@]*@)/i

/**
 * Gives the cluster a duty, or another one of that name: then its branch is built anew.
 * @throws TuttiError `too-large`, or `invalid` for a repository that has a secret in its name (S13).
 */
export const setBuildDuty = (view: View, name: string, duty: BuildDuty): readonly Edit[] => {
  const { repository, branch, file, everyMs } = duty
  if (WITH_SECRET.test(repository))
    throw new TuttiError(
      'invalid',
      'a repository with a user or password in its URL would be shown to everybody; give the machines that build a credential helper instead',
    )
  const duties = view.buildDuties ?? []
  const present = duties.find((each) => each.name === name)
  if (present === undefined && duties.length >= BUILD_DUTIES_MAX)
    throw new TuttiError('too-large', `the cluster has ${BUILD_DUTIES_MAX} build duties; remove one first`)
  const isAnother =
    present !== undefined &&
    (present.repository !== repository || present.branch !== branch || present.file !== file)
  return [
    edit(name, 'duty', canonicalJson({ repository, branch, file, everyMs })),
    ...(isAnother ? [edit(name, 'outcome', null)] : []),
  ]
}

/** @throws TuttiError `unknown`. */
export const removeBuildDuty = (view: View, name: string): readonly Edit[] => {
  buildDutyOf(view, name)
  return [edit(name, 'duty', null), edit(name, 'outcome', null)]
}

/** Lets the last commit be built again, which only makes sense after a failure. @throws TuttiError `unknown`, `refused`. */
export const retryBuild = (view: View, name: string): readonly Edit[] => {
  const { outcome } = buildDutyOf(view, name)
  if (outcome?.kind === 'failed') return [edit(name, 'outcome', null)]
  throw new TuttiError('refused', `nothing of build duty '${name}' has failed; it builds the next commit`)
}

/**
 * Writes how a commit fared. `after`: the commit whose outcome was the last one when the build began; null: there was
 * none. @throws TuttiError `unknown`, `conflict`.
 */
export const recordBuild = (
  view: View,
  name: string,
  outcome: BuildOutcome,
  after: string | null,
): readonly Edit[] => {
  const present = buildDutyOf(view, name).outcome
  if ((present?.commit ?? null) !== after) {
    const what = present === null ? 'has been reset' : `is at ${present.commit.slice(0, 12)} by now`
    throw new TuttiError('conflict', `build duty '${name}' ${what}; nothing was changed`)
  }
  const { commit, version, kind, message, output } = outcome
  return [edit(name, 'outcome', canonicalJson({ commit, version, kind, message, output }))]
}
