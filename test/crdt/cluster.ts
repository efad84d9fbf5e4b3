// A small cluster for tests: members with keys of their own, replicas that share a founding, and a word for each
// thing a test does often. Deterministic: keys and actors are hashes of names.

import assert from 'node:assert/strict'
import { addMember, foundingEdits } from '../../crdt/edits.ts'
import type { Edit } from '../../crdt/edit.ts'
import { clusterIdOf } from '../../crdt/genesis.ts'
import { IntentReplica, type Staged } from '../../crdt/replica.ts'
import type { CellSpec, ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import type { Role } from '../../crdt/schema/view.ts'
import { sha256, sha256Hex } from '../../lib/hash.ts'
import type { ActorId, MemberId } from '../../lib/ids.ts'
import { signerFromSeed, type Signer } from '../../lib/signature.ts'

export const signerOf = (name: string): Signer => signerFromSeed(sha256(`key of ${name}`))
export const memberOf = (name: string): MemberId => signerOf(name).member
export const actorOf = (name: string): ActorId => sha256Hex(`actor of ${name}`).slice(0, 32) as ActorId

export const NONCE = '0123456789abcdef'
export const FOUNDER = signerOf('ada')
export const CLUSTER = clusterIdOf(FOUNDER.member, NONCE)

export const replicaOf = (name: string, run = 1): IntentReplica =>
  new IntentReplica({ cluster: CLUSTER, actor: actorOf(`${name} ${run}`), signer: signerOf(name) })

/** Drafts and commits, as an agent does once the disk has it. */
export const edit = (replica: IntentReplica, edits: readonly Edit[], message = 'edit', at = 1): Staged => {
  const staged = replica.draft(edits, { message, at })
  assert.ok(staged !== null, 'the edit changes something')
  assert.deepEqual(replica.commit([staged]), [staged])
  return staged
}

/** Judges and commits what another replica has and this one lacks. */
export const pull = (to: IntentReplica, from: IntentReplica): void => {
  const judged = to.judge(from.missingFrom(to.vector(), Infinity))
  assert.deepEqual(judged.invalid, [])
  to.commit(judged.staged)
}

/** Everyone pulls from everyone, and once more what the others have pulled: all know all. */
export const pullAll = (replicas: readonly IntentReplica[]): void => {
  for (const to of replicas) for (const from of replicas) pull(to, from)
  for (const to of replicas) for (const from of replicas) pull(to, from)
}

export const join = (replica: IntentReplica, name: string, role: Role = 'operator'): Staged =>
  edit(
    replica,
    addMember(replica.view(), { id: memberOf(name), name, role, addresses: [], invite: null }),
    `admit ${name}`,
  )

/** Replicas of these members, the first of whom is the founder, all equal. */
export const foundedCluster = (...names: readonly string[]): IntentReplica[] => {
  const founder = replicaOf('ada')
  edit(founder, foundingEdits({ member: FOUNDER.member, nonce: NONCE, name: 'ada', addresses: [] }), 'found')
  for (const name of names) join(founder, name)
  return [
    founder,
    ...names.map((name) => {
      const replica = replicaOf(name)
      pull(replica, founder)
      return replica
    }),
  ]
}

export const service = (name: string, changes: Partial<ServiceSpec> = {}): ServiceSpec => ({
  ...SERVICE_DEFAULTS,
  uses: [],
  constraints: [],
  name,
  command: ['node', `${name}.js`],
  ...changes,
})

export const cell = (name: string, ...services: readonly ServiceSpec[]): CellSpec => ({
  name,
  services: [...services],
})
