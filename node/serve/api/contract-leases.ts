// What the API says of leases and voters: a part of contract.ts, in a file of its own.

import { Type, type Static } from 'typebox'

const Count = Type.Integer({ minimum: 0 })

/** The lease of a quorum slot, as this peer knows it: from its own promises as a voter, or since it is the holder. */
export const LeaseReply = Type.Object({ holder: Type.String(), token: Count, leftMs: Count })
export type LeaseReply = Static<typeof LeaseReply>

/** Of an instance. */
export const leasedFields = {
  /** The fencing token that its run was given; left out: it runs without a lease. */
  fence: Type.Optional(Count),
  /** Left out: it needs none, or this peer knows of none. */
  lease: Type.Optional(LeaseReply),
}

/** Of a service: the leases of its slots that this peer knows of; left out: it needs none, or this peer knows of none. */
export const leasedSlots = {
  leases: Type.Optional(Type.Array(Type.Object({ slot: Type.String(), ...LeaseReply.properties }))),
}

const Names = Type.Array(Type.String())

/** Who votes on leases, by name; null: this peer has heard of none. `former`: while the voters change. */
export const VotersReply = Type.Union([
  Type.Object({ present: Names, former: Type.Union([Names, Type.Null()]) }),
  Type.Null(),
])
export type VotersReply = Static<typeof VotersReply>

/** `GET /v1/voters` */
export const VotersStanding = Type.Object({
  voters: VotersReply,
  /** What a majority in sight of this peer lacks, in words; null: one is in sight. */
  lacking: Type.Union([Type.String(), Type.Null()]),
  /** So few of the voters are members still that they decide nothing any more; also: nobody is known to vote. */
  lost: Type.Boolean(),
})
export type VotersStanding = Static<typeof VotersStanding>

/** `POST /v1/voters`: who votes from now on. */
export const VotersReplaced = Type.Object({ present: Names, epoch: Count })
export type VotersReplaced = Static<typeof VotersReplaced>
