// The API contract of what was and of what would be: changes, moments, differences and simulations. As contract.ts.

import { Type, type Static } from 'typebox'
import { Name, ServiceRef } from '../../../crdt/schema/service.ts'
import { AsOf } from './contract.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** A moment: `now`, the start of a change's hash, either with `~2` for two changes before it. */
const Moment = Type.String({ minLength: 3, maxLength: 80 })
/** A cell or a service of it. */
const Scope = Type.String({ pattern: '^[a-z0-9-]{1,63}(/[a-z0-9-]{1,63})?$' })

// ------------------------------------------------------------------------------------------------------------ changes

/** One edit of a change, as people read it. */
export const EditReply = Type.Object({ path: Text, from: Nullable(Text), to: Nullable(Text) })

export const HistoryChangeReply = Type.Object({
  change: Text,
  /** Wall time, by its author's clock. */
  at: Count,
  /** Name of the member that signed it; of one that was removed, the name it had. */
  author: Text,
  authorId: Text,
  /** The peer that took it: its author's, since every peer signs what it takes. */
  peer: Text,
  message: Text,
  /** The changes its author knew as the newest. */
  parents: Type.Array(Text),
  edits: Type.Array(EditReply),
  /** Further edits, which `GET /v1/changes/CHANGE` names. */
  omitted: Count,
})
export type HistoryChangeReply = Static<typeof HistoryChangeReply>

/** Query of `GET /v1/changes`. */
export const HistoryQuery = Type.Object(
  {
    /** Only what touches this cell or service. */
    of: Type.Optional(Scope),
    /** The newest. @default 100 */
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    /** Only changes from then on: wall time in milliseconds. */
    since: Type.Optional(Count),
  },
  strict,
)
export type HistoryQuery = Static<typeof HistoryQuery>

/** `GET /v1/changes`: newest first, no change before one that its author knew of. */
export const HistoryReply = Type.Object({
  asOf: AsOf,
  changes: Type.Array(HistoryChangeReply),
  /** There are older ones. */
  more: Type.Boolean(),
})
export type HistoryReply = Static<typeof HistoryReply>

/** `GET /v1/changes/CHANGE`: one change, by the start of its hash. */
export const OneChangeParams = Type.Object({ change: Type.String({ pattern: '^[0-9a-f]{4,64}$' }) }, strict)
export type OneChangeParams = Static<typeof OneChangeParams>
export const OneChangeReply = Type.Object({ asOf: AsOf, change: HistoryChangeReply })
export type OneChangeReply = Static<typeof OneChangeReply>

// ------------------------------------------------------------------------------------------------------------ moments

/** Query of `GET /v1/diff`. */
export const DiffQuery = Type.Object(
  {
    from: Moment,
    /** @default now */
    to: Type.Optional(Moment),
    of: Type.Optional(Scope),
  },
  strict,
)
export type DiffQuery = Static<typeof DiffQuery>

/** A moment as it was meant: the newest changes in it, and the digest that the intent had. */
const MomentReply = Type.Object({ changes: Type.Array(Text), digest: Text })

export const DiffReply = Type.Object({
  asOf: AsOf,
  from: MomentReply,
  to: MomentReply,
  edits: Type.Array(EditReply),
})
export type DiffReply = Static<typeof DiffReply>

/** Query of `GET /v1/intent`. */
export const IntentQuery = Type.Object(
  {
    /** @default now */
    at: Type.Optional(Moment),
    cell: Type.Optional(Name),
    service: Type.Optional(ServiceRef),
  },
  strict,
)
export type IntentQuery = Static<typeof IntentQuery>

/** `GET /v1/intent`: what was wanted at a moment. What ran then nobody wrote down. */
export const IntentReply = Type.Object({
  asOf: AsOf,
  at: MomentReply,
  peers: Type.Array(
    Type.Object({ name: Text, id: Text, role: Text, cordoned: Type.Boolean(), draining: Type.Boolean() }),
  ),
  cells: Type.Array(
    Type.Object({
      name: Text,
      services: Type.Array(
        Type.Object({
          name: Text,
          generation: Count,
          mode: Text,
          replicas: Count,
          stopped: Type.Boolean(),
          release: Text,
          /** Fields that are not as they are by default, as text. */
          fields: Type.Record(Text, Text),
          conflicts: Count,
        }),
      ),
    }),
  ),
})
export type IntentReply = Static<typeof IntentReply>
