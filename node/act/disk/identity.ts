// Who this peer is, kept as small values of its data directory: its Ed25519 key, its incarnation, the cluster it belongs
// to. It creates what may be created and refuses to guess what may not: a lost key is a lost member, never a fresh one.

import { randomBytes } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { storageError } from '../../../crdt/log/files.ts'
import { fromHex, textOf, toHex, utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { ClusterId, MemberId } from '../../../lib/ids.ts'
import { canonicalJson } from '../../../lib/order.ts'
import { signerFromSeed, type Signer } from '../../../lib/signature.ts'
import type { DataDirectory } from './data-directory.ts'

export interface Identity {
  readonly member: MemberId
  readonly signer: Signer
  /** 32 bytes: the secret key. */
  readonly seed: Uint8Array
}

/** How this peer came into its cluster. */
export type ClusterOrigin =
  | {
      readonly kind: 'founded'
      readonly cluster: ClusterId
      /** Hex; with the founder's member id it hashes to the cluster id. */
      readonly nonce: string
      readonly name: string
    }
  | {
      readonly kind: 'joined'
      readonly cluster: ClusterId
      /** The name it was admitted under. */
      readonly name: string
      /** Multiaddrs of members that were known then: whom to dial should the log be lost. */
      readonly addresses: readonly string[]
    }

const KEY_FILE = 'identity.key'
const INCARNATION_FILE = 'incarnation'
const CLUSTER_FILE = 'cluster.json'
const SEED_BYTES = 32

/**
 * This peer's key; a new one in a fresh data directory. @throws TuttiError `storage` when the key is damaged, or missing
 * although the peer belongs to a cluster.
 */
export const loadIdentity = async (data: DataDirectory): Promise<Identity> => {
  const path = join(data.directory, KEY_FILE)
  const kept = await data.readSmall(KEY_FILE)
  if (kept !== null) {
    // A copy or a backup may have opened it up; a key that others could read is closed again.
    await chmod(path, 0o600).catch((cause: unknown) => {
      throw storageError(cause, `${path} could not be made private`)
    })
    return parseKey(kept, path)
  }
  const origin = await readCluster(data)
  if (origin !== null)
    throw new TuttiError(
      'storage',
      `${path} is missing although this peer belongs to cluster ${origin.cluster}; ` +
        'restore it from a backup, or choose another --data to join as a new member',
    )
  const seed = new Uint8Array(randomBytes(SEED_BYTES))
  const signer = signerFromSeed(seed)
  // The member id beside the seed is a checksum that people can read: a damaged key never passes for another member.
  await data.writeSmall(KEY_FILE, utf8(`${toHex(seed)} ${signer.member}\n`))
  return { member: signer.member, signer, seed }
}

const parseKey = (bytes: Uint8Array, path: string): Identity => {
  try {
    const match = /^([0-9a-f]{64}) (\S+)\n$/.exec(textOf(bytes))
    const seed = fromHex(match?.[1] ?? '')
    const signer = signerFromSeed(seed)
    if (signer.member === match?.[2]) return { member: signer.member, signer, seed }
  } catch {
    // Not text, or not a key: damaged, as below.
  }
  throw new TuttiError('storage', `${path} is damaged; restore it from a backup, or choose another --data`)
}

/**
 * The incarnation to use from now on, higher than any before and durable when this resolves: at each start, and whenever
 * this peer refutes an alert on itself.
 *
 * At least the wall clock's seconds, so that a disk restored from a backup, or a damaged counter, does not come back with
 * a number that the others have seen; with a wrong clock it still rises by one. The time in it means nothing else.
 * @throws TuttiError `storage`.
 */
export const raiseIncarnation = async (data: DataDirectory, wallMs: number): Promise<number> => {
  const kept = await data.readSmall(INCARNATION_FILE)
  const last = kept === null ? 0 : Number(new TextDecoder().decode(kept))
  const raised = Math.max(Number.isSafeInteger(last) && last > 0 ? last + 1 : 1, Math.floor(wallMs / 1000))
  await data.writeSmall(INCARNATION_FILE, utf8(`${raised}\n`))
  return raised
}

/** The cluster this peer belongs to; null before it founded or joined one. @throws TuttiError `storage` when damaged. */
export const readCluster = async (data: DataDirectory): Promise<ClusterOrigin | null> => {
  const bytes = await data.readSmall(CLUSTER_FILE)
  if (bytes === null) return null
  const origin = parseOrigin(bytes)
  if (origin !== null) return origin
  throw new TuttiError(
    'storage',
    `${join(data.directory, CLUSTER_FILE)} is damaged; restore it from a backup, or choose another --data`,
  )
}

/** Makes it durable. @throws TuttiError `storage`. */
export const writeCluster = (data: DataDirectory, origin: ClusterOrigin): Promise<void> =>
  data.writeSmall(CLUSTER_FILE, utf8(`${canonicalJson({ ...origin })}\n`))

const parseOrigin = (bytes: Uint8Array): ClusterOrigin | null => {
  let value: unknown
  try {
    value = JSON.parse(textOf(bytes))
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { kind, cluster, nonce, name, addresses } = value as Readonly<Record<string, unknown>>
  if (typeof cluster !== 'string' || !/^[0-9a-f]{32}$/.test(cluster)) return null
  const id = cluster as ClusterId
  if (kind === 'founded' && typeof nonce === 'string' && typeof name === 'string')
    return { kind, cluster: id, nonce, name }
  if (kind === 'joined' && typeof name === 'string' && isTexts(addresses))
    return { kind, cluster: id, name, addresses }
  return null
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')
