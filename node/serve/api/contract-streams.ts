// The contract's part about what goes on: events, output, and the watch, as replies and as lines of streams without an end. Apart from
// contract.ts, which says how things stand. Shapes only.

import { Type, type Static } from 'typebox'
import { RolloutReply } from './contract-rollout.ts'
import { AsOf } from './contract.ts'

const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

export const EventReply = Type.Object({
  at: Count,
  peer: Text,
  kind: Text,
  subject: Text,
  message: Text,
})
export const EventsReply = Type.Object({ asOf: AsOf, events: Type.Array(EventReply) })
export type EventsReply = Static<typeof EventsReply>
export type EventReply = Static<typeof EventReply>

/** One line of the NDJSON stream of `/v1/logs`; `notice` lines say what could not be read. */
export const LogReply = Type.Object({
  at: Count,
  peer: Text,
  slot: Text,
  instance: Text,
  stream: Type.Enum(['stdout', 'stderr', 'notice'] as const),
  text: Text,
  /** Bytes that the stream had written by the end of the line: names the line, for who reads again. */
  offset: Count,
})
export type LogReply = Static<typeof LogReply>

/** One server-sent event of `/v1/watch`: sent at once, then whenever something in it changed. */
export const WatchReply = Type.Object({
  digest: Text,
  settled: Type.Boolean(),
  /** Living peers, with the digest that each reports. */
  peers: Type.Array(Type.Object({ name: Text, state: Text, digest: Text, settled: Type.Boolean() })),
  slots: Type.Array(
    Type.Object({
      slot: Text,
      peer: Nullable(Text),
      state: Text,
      release: Text,
      desired: Type.Boolean(),
      /** Not as desired for longer than its deadline. Left out by an earlier version. */
      unfulfilled: Type.Optional(Type.Boolean()),
      reason: Text,
    }),
  ),
  /** Rollouts that somebody judges. Left out by an earlier version. */
  rollouts: Type.Optional(Type.Array(RolloutReply)),
})
export type WatchReply = Static<typeof WatchReply>
