// The API contract of build duties: the operations that give, take and settle them, and how they are shown. Beside
// contract.ts, whose union of operations takes these in.

import { Type, type Static } from 'typebox'
import { BuildDuty, BuildOutcome } from '../../../crdt/schema/build-duty.ts'
import { COMMIT_PATTERN } from '../../../crdt/schema/patterns.ts'
import { Name } from '../../../crdt/schema/service.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** The cluster follows a branch: every new commit of it is built and released by the duty's steward. */
export const SetBuildDuty = Type.Object(
  { kind: Type.Literal('set-build-duty'), name: Name, duty: BuildDuty },
  strict,
)
export const RemoveBuildDuty = Type.Object({ kind: Type.Literal('remove-build-duty'), name: Name }, strict)
/** Lets a commit that failed be built again. */
export const RetryBuild = Type.Object({ kind: Type.Literal('retry-build'), name: Name }, strict)
/** How a commit fared; beside the `apply` that it led to, in one change. */
export const RecordBuild = Type.Object(
  {
    kind: Type.Literal('record-build'),
    name: Name,
    outcome: BuildOutcome,
    /** The commit of the outcome that the build began from; refused when it is another one by now. Null: none. */
    after: Nullable(Type.String({ pattern: COMMIT_PATTERN })),
  },
  strict,
)

export const BuildDutyReply = Type.Object({
  name: Text,
  repository: Text,
  branch: Text,
  file: Text,
  everyMs: Count,
  /** The peer whose duty it is at present; null: none can. */
  steward: Nullable(Text),
  /** `watching`, `building`, `failed` (the last commit, which is not tried again unchanged), `hindered`. */
  state: Type.Enum(['watching', 'building', 'failed', 'hindered'] as const),
  /** Why it failed or is hindered, or what is being built. */
  reason: Text,
  /** Of the last commit that was built; null: none was yet. */
  outcome: Nullable(BuildOutcome),
  /** Peers that cannot build for now, and why. */
  hindered: Type.Array(Type.Object({ peer: Text, reason: Text, since: Count })),
})
export type BuildDutyReply = Static<typeof BuildDutyReply>
