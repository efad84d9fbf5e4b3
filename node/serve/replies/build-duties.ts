// The reply of `GET /v1/build-duties`: each duty with its steward and what that does. Pure.

import type { BuildDutyView } from '../../../crdt/schema/view.ts'
import { buildStewardOf, stateOfDuty } from '../../plan/build-duty.ts'
import type { BuildDutiesReply } from '../api/contract.ts'
import type { BuildDutyReply } from '../api/contract-build-duties.ts'
import { asOf, type Reading } from './reading.ts'

export const buildDutiesReply = (reading: Reading): BuildDutiesReply => ({
  asOf: asOf(reading),
  duties: (reading.snapshot.view.buildDuties ?? []).map((duty) => dutyReply(reading, duty)),
})

const dutyReply = (reading: Reading, duty: BuildDutyView): BuildDutyReply => {
  const { name, repository, branch, file, everyMs, outcome } = duty
  const steward = buildStewardOf(name, reading.snapshot)
  const words = reading.members
    .filter(({ present }) => present)
    .map(({ view, status }) => ({ view, progress: status?.builds?.get(name) }))
  const own = words.find(({ view }) => view.id === steward)
  return {
    name,
    repository,
    branch,
    file,
    everyMs,
    steward: own?.view.name ?? null,
    ...stateOfDuty(reading.snapshot, duty),
    outcome: outcome === null ? null : { ...outcome, output: [...outcome.output] },
    hindered: words.flatMap(({ view, progress }) =>
      progress?.phase === 'hindered'
        ? [{ peer: view.name, reason: progress.reason, since: progress.since }]
        : [],
    ),
  }
}
