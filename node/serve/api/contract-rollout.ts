// The API contract of rollouts: what `GET /v1/rollouts` answers, and what an operator may say of one. Beside contract.ts,
// which has outgrown one concept already.

import { Type, type Static } from 'typebox'
import { ServiceRef } from '../../../crdt/schema/service.ts'
import { INSTANCE_STATES, ROLLOUT_PHASES } from '../../../crdt/schema/status.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** pause, resume, promote, abort: of the release that is wanted now. retry: of the one rejected last. */
export const ROLLOUT_COMMANDS = ['pause', 'resume', 'promote', 'abort', 'retry'] as const
export type RolloutCommand = (typeof ROLLOUT_COMMANDS)[number]

export const RolloutOperation = Type.Object(
  { kind: Type.Literal('rollout'), service: ServiceRef, order: Type.Enum(ROLLOUT_COMMANDS) },
  strict,
)

export const RejectedReply = Type.Object({ release: Text, reason: Text, at: Count, to: Text })

export const RolloutReply = Type.Object({
  service: Text,
  /** The wanted one. */
  release: Text,
  /** `waiting`: its steward has not said anything of that release yet. */
  phase: Type.Enum([...ROLLOUT_PHASES, 'waiting'] as const),
  reason: Text,
  wave: Count,
  /** So many slots, in their order, may have the release; all of them where nobody hands out waves. */
  open: Count,
  /** Slots in all, and those that are ready at the release. */
  slots: Count,
  ready: Count,
  /** Wall time since when it is in that phase and wave; 0: not known. */
  since: Count,
  /** The release that it would go back to; null: none is known. */
  good: Nullable(Text),
  /** Who judges it; null: nobody need. */
  steward: Nullable(Text),
  verified: Type.Boolean(),
  /** What is known of the hook before the release, by whoever ran it, the last run first. Left out: it has none. */
  preDeploy: Type.Optional(
    Type.Array(
      Type.Object({
        peer: Text,
        state: Type.Enum(['running', 'done', 'failed'] as const),
        reason: Text,
        /** 1 is its first run for the release. */
        attempt: Count,
      }),
    ),
  ),
  /** Releases that failed or were aborted, the latest first. */
  rejected: Type.Array(RejectedReply),
})
export type RolloutReply = Static<typeof RolloutReply>

/** What one slot has of the wanted release. */
export const SlotReleaseReply = Type.Object({
  /** It is one of those that go first, and whose verdict the others wait for. */
  canary: Type.Boolean(),
  /** Its state at the wanted release; null: nothing of it is there. */
  state: Nullable(Type.Enum(INSTANCE_STATES)),
  /** Other releases that still run in it, with their states. */
  others: Type.Array(Type.Object({ release: Text, peer: Text, state: Type.Enum(INSTANCE_STATES) })),
  /** Why it does not run ready at the wanted release; empty: it does, or nothing is known. */
  reason: Text,
})
export type SlotReleaseReply = Static<typeof SlotReleaseReply>
