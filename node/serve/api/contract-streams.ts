// The contract's part about what goes on: events, output, and the watch, as replies and as streams without an end. Apart from
// contract.ts, which says how things stand. Shapes only.

import { Type, type Static } from 'typebox'
import { ServiceRef } from '../../../crdt/schema/service.ts'
import { RolloutReply } from './contract-rollout.ts'
import { AsOf, Of, SlotRef } from './contract.ts'

const strict = { additionalProperties: false } as const
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

/** Query of `GET /v1/logs`: one of `of`, `service` and `slot`, and how much. */
export const LogsQuery = Type.Object(
  {
    /** `CELL`, a service of it as `CELL/SERVICE`, or one slot of that. */
    of: Of,
    service: Type.Optional(ServiceRef),
    slot: Type.Optional(SlotRef),
    /** The last lines, over all peers together. @default 100, or with `since` or `until` all that the limits allow */
    tail: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
    /** Only lines from then on: wall time in milliseconds. */
    since: Type.Optional(Count),
    /** Only lines up to then: wall time in milliseconds. */
    until: Type.Optional(Count),
    stream: Type.Optional(Type.Enum(['stdout', 'stderr'] as const)),
    /** Only lines that contain this text, as it is. */
    grep: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    /** Stays open and sends new lines. @default false */
    follow: Type.Optional(Type.Boolean()),
    /** Of a follower that lost its peer: all lines since, each peer's as they come instead of merged. @default false */
    resume: Type.Optional(Type.Boolean()),
  },
  strict,
)
export type LogsQuery = Static<typeof LogsQuery>

/** Query of `GET /v1/events`: EventsReply, or with `follow` an NDJSON stream of EventReply, the kept ones first. */
export const EventsQuery = Type.Object({ follow: Type.Optional(Type.Boolean()) }, strict)
export type EventsQuery = Static<typeof EventsQuery>

/** Query of `GET /v1/watch`. */
export const WatchQuery = Type.Object(
  {
    /** The digest that the caller knows: nothing is sent until it is another. */
    digest: Type.Optional(Type.String({ maxLength: 64 })),
  },
  strict,
)
export type WatchQuery = Static<typeof WatchQuery>
