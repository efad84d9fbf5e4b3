// Branded identifiers. A thing that is named has a type of its own, so that a slot can never be passed where a
// service is meant. This file mints nothing and checks little: parsing of user input lives with the input's format.

declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** A member's identity: the libp2p peer id of its Ed25519 key, in base58 (`12D3KooW…`). Never an address. */
export type MemberId = Brand<string, 'MemberId'>
/** 32 lower-case hex characters: a hash of the founder's member id and a nonce, so that founding proves itself. */
export type ClusterId = Brand<string, 'ClusterId'>
/** `cell/service`. */
export type ServiceId = Brand<string, 'ServiceId'>
/** `cell/service/2`, or `cell/service/<member name>` for a service in global mode. */
export type SlotId = Brand<string, 'SlotId'>
/** 12 lower-case hex characters of the hash of everything that defines how an instance runs. */
export type ReleaseId = Brand<string, 'ReleaseId'>
/** `cell/service/2@<release>`: one slot at one release; unique on a member. */
export type InstanceId = Brand<string, 'InstanceId'>
/** 64 lower-case hex characters: SHA-256 of a change, as Automerge computes it. */
export type ChangeHash = Brand<string, 'ChangeHash'>
/** 32 lower-case hex characters, new at every start of a peer. */
export type ActorId = Brand<string, 'ActorId'>
/** 64 lower-case hex characters: the fingerprint of a view. */
export type Digest = Brand<string, 'Digest'>
/** 64 lower-case hex characters: SHA-256 of a package's manifest, and so of all that is in it. */
export type PackageDigest = Brand<string, 'PackageDigest'>
/** 64 lower-case hex characters: SHA-256 of a chunk of a package's files. */
export type ChunkDigest = Brand<string, 'ChunkDigest'>

/** What a cell, a service, a port or a peer may be called: as a DNS label, so that names can become host names. */
export const NAME_PATTERN = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'

/**
 * The same text as the engine keeps it once for all property names. Such texts are compared and looked up by their address
 * and not letter by letter, and they do not hold on to what they were cut out of: for ids that are read once and used often.
 */
export const interned = (text: string): string => Object.keys({ [text]: null })[0] ?? text

/** As many ids as keys are kept (signature.ts): more members than a cluster has. */
const MEMBERS_KEPT_MAX = 4096
const members = new Map<string, MemberId>()

/** A member's id that was read somewhere, interned. Every message names members: those met before are looked up, which costs a tenth. */
export const memberIdOf = (text: string): MemberId => {
  const known = members.get(text)
  if (known !== undefined) return known
  const member = interned(text) as MemberId
  if (members.size >= MEMBERS_KEPT_MAX) members.clear()
  members.set(member, member)
  return member
}

export const serviceIdOf = (cell: string, service: string): ServiceId => `${cell}/${service}` as ServiceId

export const slotIdOf = (service: ServiceId, seat: number | string): SlotId => `${service}/${seat}` as SlotId

export const instanceIdOf = (slot: SlotId, release: ReleaseId): InstanceId =>
  `${slot}@${release}` as InstanceId

/** The service a slot belongs to. */
export const serviceOfSlot = (slot: SlotId): ServiceId => slot.slice(0, slot.lastIndexOf('/')) as ServiceId

/** The part of a slot's name after the service: a number, or a member's name in global mode. */
export const seatOfSlot = (slot: SlotId): string => slot.slice(slot.lastIndexOf('/') + 1)

/** The slot and release an instance id names. */
export const partsOfInstance = (id: InstanceId): { readonly slot: SlotId; readonly release: ReleaseId } => {
  const at = id.lastIndexOf('@')
  return { slot: id.slice(0, at) as SlotId, release: id.slice(at + 1) as ReleaseId }
}

/** The cell and the service's own name within a service id. */
export const partsOfService = (id: ServiceId): { readonly cell: string; readonly name: string } => {
  const slash = id.indexOf('/')
  return { cell: id.slice(0, slash), name: id.slice(slash + 1) }
}
