// Build duties as operators give them: which branch of which repository the cluster follows, and how its last commit
// fared. Kept in the intent, so that whichever peer is steward of the duty goes on where the last one stopped.
// Deliberately absent: credentials; whoever may fetch a repository is known to the machines alone.

import { Type, type Static } from 'typebox'
import { COMMIT_PATTERN } from './patterns.ts'

const strict = { additionalProperties: false } as const

/** What git-check-ref-format(1) allows, without what only shells and people stumble over. */
export const BRANCH_PATTERN = '^(?!.*(\\.\\.|//|\\.lock$|[./]$))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}$'
/** Printable and no option: it becomes an argument of git. */
export const REPOSITORY_PATTERN = '^[^\\s\\u0000-\\u001f\\u007f-][^\\u0000-\\u001f\\u007f]{0,1023}$'
/** Below the root of the repository. */
export const FILE_PATTERN = '^(?!/)(?!(.*/)?\\.\\.(/|$))[^\\u0000-\\u001f\\u007f]{1,1024}$'

/** Duties of a cluster. Each costs its steward one question to a git server every few seconds. */
export const BUILD_DUTIES_MAX = 64

export const BuildDuty = Type.Object(
  {
    /** URL, or an absolute path on the peers that build. */
    repository: Type.String({ pattern: REPOSITORY_PATTERN }),
    branch: Type.String({ pattern: BRANCH_PATTERN }),
    /** The cell file, relative to the root of the repository. */
    file: Type.String({ pattern: FILE_PATTERN }),
    /** How often the branch is looked at. */
    everyMs: Type.Integer({ minimum: 1000, maximum: 86_400_000 }),
  },
  strict,
)
export type BuildDuty = Static<typeof BuildDuty>

/** How a commit fared. A commit that has an outcome is not built again. */
export const BuildOutcome = Type.Object(
  {
    commit: Type.String({ pattern: COMMIT_PATTERN }),
    /** Empty where the build did not get that far. */
    version: Type.String({ maxLength: 100 }),
    kind: Type.Enum(['released', 'failed'] as const),
    /** Why it failed, or the commit's subject; one sentence. */
    message: Type.String({ maxLength: 500 }),
    /** Of a failed one: its last lines. */
    output: Type.Array(Type.String({ maxLength: 500 }), { maxItems: 20 }),
  },
  strict,
)
export type BuildOutcome = Static<typeof BuildOutcome>
