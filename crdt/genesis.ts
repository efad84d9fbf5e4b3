// The constant first change of every document of a cluster: the same bytes on every peer, derived from the cluster id
// alone. It makes the containers, so that no two peers ever create the same one twice (concurrently created maps hide
// each other whole). Services are spread over 64 maps because Automerge's cost grows with the map that is touched: a
// thousand services of 25 fields make 400 keys a map, and making more maps would cost every start of a peer.

import { fromHex, toHex } from '../lib/bytes.ts'
import { hash32, sha256Hex } from '../lib/hash.ts'
import type { ActorId, ChangeHash, ClusterId, MemberId } from '../lib/ids.ts'
import { AutomergeDocument, type ContainerPath } from './automerge.ts'
import { changeHashOf, type OpId } from './change-codec.ts'
import type { ContainerName } from './edit.ts'

const BUCKETS = 64
const ROOTS = ['cluster', 'members', 'invites', 'cells', 'packages', 'services'] as const

const bucketName = (bucket: number): string => toHex(Uint8Array.of(bucket))

// Order is identity here: the n-th container is made by op n.
const PATHS: readonly ContainerPath[] = [
  ...ROOTS,
  ...Array.from({ length: BUCKETS }, (_, bucket) => `services/${bucketName(bucket)}`),
]

/** The cluster that a founder's member id and a nonce make: so founding proves itself. */
export const clusterIdOf = (founder: MemberId, nonce: string): ClusterId =>
  sha256Hex(`tutti/cluster/1/${founder}/${nonce}`).slice(0, 32) as ClusterId

/** The container a key lives in; services' keys start with `cell/service/`. */
export const containerPathOf = (container: ContainerName, key: string): ContainerPath => {
  if (container !== 'services') return container
  const end = key.indexOf('/', key.indexOf('/') + 1)
  return `services/${bucketName(hash32(end < 0 ? key : key.slice(0, end)) & (BUCKETS - 1))}`
}

export interface Genesis {
  readonly actor: ActorId
  readonly bytes: Uint8Array
  readonly hash: ChangeHash
  /** Counter of its last op. */
  readonly opMax: number
  /** The op that made a container. */
  objectOf(path: ContainerPath): OpId | undefined
  /** The container that an op made. */
  pathOf(object: OpId): ContainerPath | undefined
}

/** A process knows one cluster, but for a simulation that plays one after the other and a peer that joins another. */
let latest: { readonly cluster: ClusterId; readonly genesis: Genesis } | null = null

/** The genesis of a cluster. Made once, in some milliseconds; the last one is kept. */
export const genesisOf = (cluster: ClusterId): Genesis => {
  if (latest?.cluster !== cluster) latest = { cluster, genesis: makeGenesis(cluster) }
  return latest.genesis
}

const makeGenesis = (cluster: ClusterId): Genesis => {
  const actor = sha256Hex(`tutti/genesis/1/${cluster}`).slice(0, 32) as ActorId
  const bytes = AutomergeDocument.containersChange(actor, PATHS)
  const objects = new Map(PATHS.map((path, index) => [path, { counter: index + 1, actor }]))
  return {
    actor,
    bytes,
    hash: changeHashOf(bytes),
    opMax: PATHS.length,
    objectOf: (path) => objects.get(path),
    pathOf: (object) => {
      const path = object.actor === actor ? PATHS[object.counter - 1] : undefined
      // Services live in the buckets; their parent holds nothing else.
      return path === 'services' ? undefined : path
    },
  }
}

/** Characters of an actor id that say whose it is. */
const OWNER_LENGTH = 8

/**
 * The actor id under which a member writes: the first four bytes are a hash of the member, the rest are those of
 * `random`, fresh at every start. So nobody can take another's (actor, seq), which would refuse the owner's own changes.
 */
export const ownActor = (member: MemberId, random: ActorId): ActorId =>
  (ownerPrefix(member) + toHex(fromHex(random)).slice(OWNER_LENGTH)) as ActorId

/** Whether an actor id is one of that member's. */
export const isOwnActor = (member: MemberId, actor: ActorId): boolean => actor.startsWith(ownerPrefix(member))

const prefixes = new Map<MemberId, string>()
// Bounded like the keys of lib/signature.ts: a fleet has few members.
const PREFIXES_MAX = 4096

const ownerPrefix = (member: MemberId): string => {
  const kept = prefixes.get(member)
  if (kept !== undefined) return kept
  const prefix = sha256Hex(`tutti/actor/1/${member}`).slice(0, OWNER_LENGTH)
  if (prefixes.size >= PREFIXES_MAX) prefixes.clear()
  prefixes.set(member, prefix)
  return prefix
}
