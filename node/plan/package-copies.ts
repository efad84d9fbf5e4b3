// How many members have each package, and who is to make up for what is missing: the copies that a push made go with the
// machines that they are on. Elected as everything is, by rendezvous hashing over those that are there, so that all peers name the
// same ones. Pure: how long something has been missing, and the fetching, are node/agent's.

import { hash32, mix32 } from '../../lib/hash.ts'
import type { MemberId, PackageDigest } from '../../lib/ids.ts'
import { compareStrings, sortedBy } from '../../lib/order.ts'
import { packageMark } from '../../crdt/schema/status.ts'
import type { PackageView } from '../../crdt/schema/view.ts'
import { isPresent } from './eligibility.ts'
import type { PlanInput } from './plan.ts'

/** As many as a push makes: one machine may be lost. */
const COPIES_WANTED = 2

export interface PackageCopies {
  readonly digest: PackageDigest
  /** `api@1.4.2`, or the start of the digest of one that is not listed. */
  readonly name: string
  /** Of all its files; null: it is not listed. */
  readonly bytes: number | null
  /** A service's release runs from it; else it is only listed. */
  readonly isRun: boolean
  /** Copies on members that are there and stay. */
  readonly copies: number
  /** As many as there should be: fewer than two where fewer members are there. */
  readonly wanted: number
  /** Somebody who is there has it, to get it from. */
  readonly isThere: boolean
  /** Those of its holders whose copies count: these are not to be dropped for want of room. */
  readonly keepers: readonly MemberId[]
  /** Who takes a copy, first things first, where there are too few. */
  readonly candidates: readonly MemberId[]
}

/** A package that a release runs from and that has had too few copies for long. */
export interface PackageShortage {
  readonly name: string
  readonly copies: number
  readonly wanted: number
  /** Wall time when this peer saw it first. */
  readonly since: number
}

/** What services run from first, then the newest. Packages that were removed and that nobody runs from are left out. */
export const packageCopies = ({
  view,
  membership,
  statuses,
}: Pick<PlanInput, 'view' | 'membership' | 'statuses'>): readonly PackageCopies[] => {
  const listed = new Map<PackageDigest, PackageView>()
  for (const each of view.packages ?? []) if (!each.removed) listed.set(each.digest, each)
  const run = new Set(
    view.services.flatMap(({ definition }) => (definition.package === undefined ? [] : [definition.package])),
  )
  const digests = new Set([...run, ...listed.keys()])
  if (digests.size === 0) return []
  const states = new Map(membership.members.map(({ id, state }) => [id, state]))
  const present = view.members.filter(({ id }) => isPresent(states.get(id)))
  // Whoever drains is about to leave, and its copies with it.
  const staying = present.filter(({ draining }) => !draining).map(({ id }) => id)
  const wanted = Math.min(COPIES_WANTED, staying.length)
  const all = [...digests].map((digest): PackageCopies => {
    const mark = packageMark(digest)
    const has = (member: MemberId): boolean => statuses.get(member)?.packages?.held.includes(mark) === true
    const ranked = rankedFor(digest, staying)
    const holders = ranked.filter(has)
    const entry = listed.get(digest)
    return {
      digest,
      name: entry?.ref ?? digest.slice(0, 12),
      bytes: entry?.bytes ?? null,
      isRun: run.has(digest),
      copies: holders.length,
      wanted,
      isThere: present.some(({ id }) => has(id)),
      keepers: holders.slice(0, wanted),
      candidates: ranked.filter((member) => !has(member)),
    }
  })
  const order = ({ digest, isRun }: PackageCopies): number =>
    isRun ? -Infinity : -(listed.get(digest)?.at ?? 0)
  return all.toSorted((a, b) => order(a) - order(b) || compareStrings(a.digest, b.digest))
}

/** Members in the order in which they are asked to have a package, the same for all peers. */
export const rankedFor = (digest: PackageDigest, members: readonly MemberId[]): readonly MemberId[] => {
  const salt = hash32(digest)
  return sortedBy(members, (member) => member).toSorted(
    (a, b) => mix32(hash32(b) ^ salt) - mix32(hash32(a) ^ salt),
  )
}
