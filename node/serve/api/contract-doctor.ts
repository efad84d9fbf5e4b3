// The contract's part about examinations: `GET /v1/doctor`, `GET /v1/journal`, and what members answer one another for it. Beside contract.ts,
// since only `tutti doctor` needs it. Shapes only.

import { Type, type Static } from 'typebox'
import { AsOf } from './contract.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
/** A sentence: what a broken or hostile member sends is not to fill a terminal. */
const Sentence = Type.String({ maxLength: 8192 })
/** What one member may send of each: far above what a cluster of the largest size has. */
const FINDINGS_MAX = 1000
const MEMBERS_MAX = 2000
const ADDRESSES_MAX = 64

const LEVELS = ['ok', 'warn', 'fail'] as const

const findingFields = {
  level: Type.Enum(LEVELS),
  check: Type.String({ maxLength: 64 }),
  found: Sentence,
  advice: Sentence,
}

export const Tried = Type.Object({ address: Sentence, failure: Sentence, ms: Count })

/** What a member answers when another asks how it is. More fields may come; these stay. */
export const MemberAnswerShape = Type.Object({
  version: Sentence,
  node: Sentence,
  documentFormat: Count,
  placementVersion: Count,
  machine: Sentence,
  addresses: Type.Array(Sentence, { maxItems: ADDRESSES_MAX }),
  findings: Type.Array(Type.Object(findingFields), { maxItems: FINDINGS_MAX }),
  reach: Type.Array(
    Type.Object({
      to: Sentence,
      answered: Type.Boolean(),
      failure: Sentence,
      tried: Type.Array(Tried, { maxItems: ADDRESSES_MAX }),
    }),
    { maxItems: MEMBERS_MAX },
  ),
})

/** Query of `GET /v1/doctor`. */
export const DoctorQuery = Type.Object(
  {
    /** The machines of all members, not of this peer alone. @default false */
    all: Type.Optional(Type.Boolean()),
  },
  strict,
)
export type DoctorQuery = Static<typeof DoctorQuery>

export const FindingReply = Type.Object({
  /** Whose machine or peer it is about; empty: the cluster. */
  peer: Text,
  ...findingFields,
})
export type FindingReply = Static<typeof FindingReply>

export const LinkReply = Type.Object({
  from: Text,
  to: Text,
  /** `connected`: it is reached only over a connection that the other side made. */
  state: Type.Enum(['reaches', 'connected', 'cut', 'unknown'] as const),
  failure: Text,
  tried: Type.Array(Tried),
})
export type LinkReply = Static<typeof LinkReply>

export const DoctorReply = Type.Object({
  asOf: AsOf,
  /** No finding is a failure. */
  healthy: Type.Boolean(),
  findings: Type.Array(FindingReply),
  members: Type.Array(
    Type.Object({
      name: Text,
      self: Type.Boolean(),
      state: Text,
      ageMs: Count,
      version: Text,
      node: Text,
      documentFormat: Count,
      placementVersion: Count,
      /** Equal for peers of one machine. */
      machine: Text,
      addresses: Type.Array(Text),
      /** Its wall clock against the answering peer's; null: not measured. */
      clockOffsetMs: Type.Union([Type.Integer(), Type.Null()]),
      clockErrorMs: Type.Union([Count, Type.Null()]),
      /** Why it could not be asked; empty when it could. */
      failure: Text,
    }),
  ),
  links: Type.Array(LinkReply),
})
export type DoctorReply = Static<typeof DoctorReply>

export const JournalReply = Type.Object({
  /** A head, then one line for each pass, oldest first; each is JSON. */
  lines: Type.Array(Text),
})
export type JournalReply = Static<typeof JournalReply>
