// What peers say to each other about leases of quorum slots, and what a voter keeps on its disk: the shapes only, as
// canonical JSON. Who may say what, and when, is node/plan/lease. Nothing here is part of the document: a lease lives as
// long as a breath, and a document that changed with each would never rest.

import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { utf8, textOf } from '../../lib/bytes.ts'
import { LIMITS } from '../../lib/limits.ts'
import { canonicalJson, type Json } from '../../lib/order.ts'
import { sharedReading } from '../status-share.ts'

const strict = { additionalProperties: false } as const
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Id = Type.String({ minLength: 1, maxLength: 128 })
const Slot = Type.String({ minLength: 1, maxLength: 256 })
const Ids = Type.Array(Id, { maxItems: LIMITS.membersMax })
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** Slots in one question; a peer with more asks in several. */
export const LEASE_SLOTS_MAX = 1000

/** Slots that one voter keeps promises of; its word is written as a whole, and this is two megabytes of it. */
export const PROMISES_MAX = 10_000

/** Who votes, from one change of the voters to the next. */
export const VoterSet = Type.Object(
  {
    epoch: Count,
    /** While the voters change: the former ones, of whom a majority is needed too. */
    former: Nullable(Ids),
    present: Ids,
  },
  strict,
)
export type VoterSet = Static<typeof VoterSet>

/** Orders proposals of a voter change: the higher round, then the higher id. */
export const Ballot = Type.Object({ round: Count, by: Id }, strict)
export type Ballot = Static<typeof Ballot>

const Accepted = Type.Object({ ballot: Ballot, voters: VoterSet }, strict)
export type Accepted = Static<typeof Accepted>

/** One voter's durable word. */
export const VoterRecord = Type.Object(
  {
    voters: Nullable(VoterSet),
    /** It learned of these voters although it was one of them before: what it said then is lost. */
    forgetful: Type.Boolean(),
    /** At least every token of a promise that was dropped from the list. */
    tokenFloor: Count,
    promises: Type.Array(
      Type.Object({ slot: Slot, holder: Id, session: Count, token: Count, epoch: Count, at: Count }, strict),
    ),
    ballot: Nullable(Ballot),
    accepted: Nullable(Accepted),
  },
  strict,
)
export type VoterRecord = Static<typeof VoterRecord>

const Ask = Type.Object({ slot: Slot, token: Count }, strict)
export type Ask = Static<typeof Ask>

const ChangeQuestion = Type.Union([
  Type.Object({ kind: Type.Literal('prepare'), epoch: Count, ballot: Ballot }, strict),
  Type.Object({ kind: Type.Literal('accept'), epoch: Count, ballot: Ballot, voters: VoterSet }, strict),
  /** An operator names voters in the place of ones that are lost: nobody is asked to agree. */
  Type.Object({ kind: Type.Literal('replace'), epoch: Count, ballot: Ballot, voters: VoterSet }, strict),
])
export type ChangeQuestion = Static<typeof ChangeQuestion>

export const LeaseQuestion = Type.Object(
  {
    voters: Nullable(VoterSet),
    /** Of the asking holder, drawn at its start: what it gives back is what it was promised itself, and no later run. */
    session: Count,
    asks: Type.Array(Ask, { maxItems: LEASE_SLOTS_MAX }),
    releases: Type.Array(Ask, { maxItems: LEASE_SLOTS_MAX }),
    change: Nullable(ChangeQuestion),
  },
  strict,
)
export type LeaseQuestion = Static<typeof LeaseQuestion>

/** Why a voter did not promise. */
export const REFUSALS = ['held', 'stale', 'fresh', 'voters', 'full'] as const
export type Refusal = (typeof REFUSALS)[number]

const Grant = Type.Object(
  {
    slot: Slot,
    token: Count,
    /** Null: promised. */
    refusal: Nullable(Type.Enum(REFUSALS)),
    /** The highest token that this voter has promised for the slot. */
    seen: Count,
    /** Whom it has promised it to. */
    holder: Nullable(Id),
  },
  strict,
)
export type Grant = Static<typeof Grant>

const ChangeAnswer = Type.Object(
  {
    kind: Type.Enum(['prepare', 'accept', 'replace'] as const),
    epoch: Count,
    ballot: Ballot,
    agreed: Type.Boolean(),
    /** The ballot that it is bound to by now. */
    bound: Nullable(Ballot),
    accepted: Nullable(Accepted),
  },
  strict,
)
export type ChangeAnswer = Static<typeof ChangeAnswer>

export const LeaseAnswer = Type.Object(
  {
    voters: Nullable(VoterSet),
    grants: Type.Array(Grant, { maxItems: LEASE_SLOTS_MAX }),
    change: Nullable(ChangeAnswer),
  },
  strict,
)
export type LeaseAnswer = Static<typeof LeaseAnswer>

const record = Compile(VoterRecord)
const question = Compile(LeaseQuestion)
const answer = Compile(LeaseAnswer)

/** Texts of what is said again and again; none of it ever changes. */
const texts = new WeakMap<object, string>()

const textFor = (value: Extract<Json, object> | null): string => {
  if (value === null) return 'null'
  const known = texts.get(value)
  if (known !== undefined) return known
  const text = canonicalJson(value)
  texts.set(value, text)
  return text
}

const parsed = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(textOf(bytes))
  } catch {
    return undefined
  }
}

/** A record is written for each promise, and all but that one promise in it was written before. */
export const encodeVoterRecord = (value: VoterRecord): Uint8Array => {
  const { accepted, ballot, forgetful, promises, tokenFloor, voters } = value
  return utf8(
    `{"accepted":${textFor(accepted)},"ballot":${textFor(ballot)},"forgetful":${forgetful}` +
      `,"promises":[${promises.map(textFor).join(',')}],"tokenFloor":${tokenFloor},"voters":${textFor(voters)}}`,
  )
}

/** Questions in words; all voters are asked the same. */
const questions = new WeakMap<LeaseQuestion, Uint8Array>()

export const encodeQuestion = (value: LeaseQuestion): Uint8Array => {
  const known = questions.get(value)
  if (known !== undefined) return known
  const { asks, change, releases, session, voters } = value
  const bytes = utf8(
    `{"asks":${textFor(asks)},"change":${textFor(change)},"releases":${textFor(releases)}` +
      `,"session":${session},"voters":${textFor(voters)}}`,
  )
  questions.set(value, bytes)
  return bytes
}

export const encodeAnswer = ({ change, grants, voters }: LeaseAnswer): Uint8Array =>
  utf8(`{"change":${textFor(change)},"grants":${canonicalJson(grants)},"voters":${textFor(voters)}}`)

/** Null: not one that this version can read. */
export const decodeVoterRecord = (bytes: Uint8Array): VoterRecord | null => {
  const value = parsed(bytes)
  return record.Check(value) ? value : null
}

/** Null: malformed. */
export const decodeQuestion = (bytes: Uint8Array): LeaseQuestion | null => sharedReading(bytes, readQuestion)

const readQuestion = (bytes: Uint8Array): LeaseQuestion | null => {
  const value = parsed(bytes)
  return question.Check(value) ? value : null
}

/** Null: malformed. */
export const decodeAnswer = (bytes: Uint8Array): LeaseAnswer | null => {
  const value = parsed(bytes)
  return answer.Check(value) ? value : null
}
