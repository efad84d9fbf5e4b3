// The queries of the API's routes that read: as contract.ts, of which they are the other half. Those about what was are in
// contract-history.ts.

import { Type, type Static } from 'typebox'
import { Name, ServiceRef } from '../../../crdt/schema/service.ts'

const strict = { additionalProperties: false } as const
const Count = Type.Integer({ minimum: 0 })

const Of = Type.Optional(Type.String({ maxLength: 200 }))
const SlotRef = Type.String({ pattern: '^[a-z0-9-]{1,63}/[a-z0-9-]{1,63}/[a-z0-9-]{1,63}$' })

/** Query of `GET /v1/placements`: one of the three. */
export const PlacementsQuery = Type.Object(
  {
    /** `CELL/SERVICE`, or one slot of it. */
    of: Of,
    service: Type.Optional(ServiceRef),
    slot: Type.Optional(SlotRef),
  },
  strict,
)
export type PlacementsQuery = Static<typeof PlacementsQuery>

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

/** Query of `GET /v1/instances`. */
export const InstancesQuery = Type.Object({ service: Type.Optional(ServiceRef) }, strict)
export type InstancesQuery = Static<typeof InstancesQuery>

/** Query of `GET /v1/status` and `GET /v1/services`: everything, one cell, or one service. */
export const StatusQuery = Type.Object(
  { cell: Type.Optional(Name), service: Type.Optional(ServiceRef) },
  strict,
)
export type StatusQuery = Static<typeof StatusQuery>

/** Query of `GET /v1/watch`. */
export const WatchQuery = Type.Object(
  {
    /** The digest that the caller knows: nothing is sent until it is another. */
    digest: Type.Optional(Type.String({ maxLength: 64 })),
  },
  strict,
)
export type WatchQuery = Static<typeof WatchQuery>
