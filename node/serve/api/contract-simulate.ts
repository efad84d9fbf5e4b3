// The API contract of what would be: simulations and rebalances. As contract.ts.

import { Type, type Static } from 'typebox'
import { NAME_PATTERN } from '../../../lib/ids.ts'
import { AsOf, ChangeReply, Operation } from './contract.ts'
import { EditReply } from './contract-history.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
/** Peers by name or id. */
const Peers = Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 1000 }))

const SlotsReply = ChangeReply.properties.slots

/** A machine that is not there yet. */
export const AddedPeer = Type.Object(
  {
    /** @default new-1, new-2, … */
    name: Type.Optional(Type.String({ pattern: NAME_PATTERN })),
    cpusMilli: Type.Integer({ minimum: 1, maximum: 1_024_000 }),
    memoryBytes: Type.Integer({ minimum: 1, maximum: 2 ** 50 }),
    labels: Type.Optional(
      Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 1024 }), {
        maxProperties: 64,
      }),
    ),
  },
  strict,
)
export type AddedPeer = Static<typeof AddedPeer>

/** `POST /v1/simulations`: all of it at once; nothing is changed. Without anything: whether the present survives a loss. */
export const SimulationRequest = Type.Object(
  {
    /** Lost for good, as after a fire. */
    kill: Peers,
    cordon: Peers,
    drain: Peers,
    add: Type.Optional(Type.Array(AddedPeer, { maxItems: 100 })),
    /** Edits, as of a change. */
    operations: Type.Optional(Type.Array(Operation, { maxItems: 64 })),
    /** Whether to look at the loss of each one machine afterwards. @default true */
    losses: Type.Optional(Type.Boolean()),
  },
  strict,
)
export type SimulationRequest = Static<typeof SimulationRequest>

const OutagesReply = Type.Array(Type.Object({ slot: Text, reason: Text }))

export const SimulationReply = Type.Object({
  asOf: AsOf,
  edits: Type.Array(EditReply),
  slots: SlotsReply,
  /** Slots that would not run: nobody can hold them, or they never leave who is lost. */
  outages: OutagesReply,
  warnings: Type.Array(Text),
  /** Whether everything would run again after the loss of any one machine, once it is over. Null: not looked at. */
  survivable: Type.Union([Type.Boolean(), Type.Null()]),
  /** Machine by machine, by name; those that hold nothing are left out. */
  losses: Type.Array(
    Type.Object({
      peer: Text,
      survivable: Type.Boolean(),
      moves: Count,
      outages: OutagesReply,
      /** Services all of whose instances are there: down until they have started elsewhere. */
      interrupted: Type.Array(Text),
    }),
  ),
  /** Machines that were not looked at, for time. */
  unchecked: Type.Array(Text),
})
export type SimulationReply = Static<typeof SimulationReply>

/** `GET /v1/rebalance`. */
export const RebalanceReply = Type.Object({
  asOf: AsOf,
  peers: Type.Array(
    Type.Object({ peer: Text, slots: Count, reservedCpusMilli: Count, reservedMemoryBytes: Count }),
  ),
  /** Slots whose home cannot hold them now; they go home when it can. */
  away: Type.Array(Type.Object({ slot: Text, peer: Text, home: Text, reason: Text })),
  /** Members that are gone and not removed. */
  gone: Type.Array(Text),
  /** What the removal of those would move. */
  anew: SlotsReply,
})
export type RebalanceReply = Static<typeof RebalanceReply>
