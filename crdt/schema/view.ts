// The view: the whole intent as one sorted, frozen, canonical value. Everything but the replica reads this and nothing
// else. Two peers with the same changes have byte-equal views (S1), whatever order delivered them.

import type {
  ChangeHash,
  ClusterId,
  Digest,
  MemberId,
  PackageDigest,
  ReleaseId,
  ServiceId,
} from '../../lib/ids.ts'
import type { BuildDuty, BuildOutcome } from './build-duty.ts'
import type { PackageSource } from './package.ts'
import type { RejectedRelease, RolloutOrder } from './rollout.ts'
import type { Healthcheck, ServiceSpec } from './service.ts'

export type Role = 'operator' | 'runner'

export interface MemberView {
  readonly id: MemberId
  /** Unique in the view: of two members that took one name concurrently, the later id carries a suffix. */
  readonly name: string
  readonly role: Role
  /** Multiaddrs it was admitted with; its status knows the present ones. */
  readonly addresses: readonly string[]
  readonly cordoned: boolean
  readonly draining: boolean
}

/** One value that lost to another written concurrently to the same field. */
export interface ConflictView {
  /** As people read it: `shop/web replicas`. */
  readonly path: string
  readonly value: string
  readonly winner: string
  readonly author: MemberId
  readonly change: ChangeHash
  /** Wall time of the losing change, by its author's clock. */
  readonly at: number
}

/** Everything that defines how an instance runs; its canonical JSON's hash is the release. */
export type ReleaseDefinition = Pick<
  ServiceSpec,
  | 'command'
  | 'workingDir'
  | 'environment'
  | 'ports'
  | 'healthcheck'
  | 'uses'
  | 'stopSignal'
  | 'stopGraceMs'
  | 'memoryMaxBytes'
  | 'cpusMaxMilli'
  | 'pidsMax'
  | 'openFilesMax'
  | 'user'
  | 'isolation'
> & {
  /** Left out: none. */
  readonly liveness?: Healthcheck
  /** What it runs from. By content, not by name: two versions of one content are one release. Left out: none. */
  readonly package?: PackageDigest
  /** Changes at every `tutti restart`, so that a restart is a rollout like any other. */
  readonly restartToken: string
}

export interface ServiceView extends Omit<ServiceSpec, 'replicas'> {
  readonly id: ServiceId
  readonly cell: string
  readonly generation: number
  readonly replicas: number
  /** `tutti stop`: keeps the definition, runs nothing. */
  readonly stopped: boolean
  readonly release: ReleaseId
  readonly definition: ReleaseDefinition
  /** An operator's last word on a rollout. Left out: none was ever had. */
  readonly rollout?: RolloutOrder
  /** Releases that failed or were aborted, by their ids. Left out: none. */
  readonly rejected?: Readonly<Record<string, RejectedRelease>>
  readonly conflicts: readonly ConflictView[]
}

/** One version of a package. */
export interface PackageView {
  /** `api@1.4.2`. */
  readonly ref: string
  readonly digest: PackageDigest
  readonly bytes: number
  readonly files: number
  /** Left out: it was pushed as a directory. */
  readonly source?: PackageSource
  /** It cannot be referred to any more, and never comes to mean another content. */
  readonly removed: boolean
  readonly author: MemberId
  /** Wall time of its push, by its author's clock. */
  readonly at: number
}

export interface InviteView {
  /** The member id that the ticket's secret key is; nobody is ever admitted under it. */
  readonly id: MemberId
  /** Wall time, by the inviting peer's clock. */
  readonly expiresAt: number
  readonly uses: number
  readonly role: Role
  /** Members admitted with it. */
  readonly used: number
}

export interface BuildDutyView extends BuildDuty {
  readonly name: string
  /** Of the last commit that was built; null: none was yet. */
  readonly outcome: BuildOutcome | null
}

export interface View {
  readonly cluster: ClusterId
  /** Sorted by id; removed members are in `removed`. */
  readonly members: readonly MemberView[]
  readonly removed: readonly MemberId[]
  readonly invites: readonly InviteView[]
  /** Sorted by id. */
  readonly services: readonly ServiceView[]
  /** Sorted by name; left out: none. */
  readonly buildDuties?: readonly BuildDutyView[]
  /** Sorted by reference, removed ones included. Left out: there never was one. */
  readonly packages?: readonly PackageView[]
  /**
   * Last generation by service id or member id, where it cannot be read above: of everything deleted or removed, and of
   * members admitted again. What is created anew exceeds it; what is not named is in generation 1, or never was.
   */
  readonly generations?: Readonly<Record<string, number>>
  /** Values that lost outside of a live service: of members, of invites, and edits of a service that was deleted meanwhile. */
  readonly conflicts?: readonly ConflictView[]
  readonly digest: Digest
}
