// Which copies of packages this peer takes or keeps for the sake of the cluster, and which packages have had too few for long. It
// remembers since when something has been missing; who is elected is node/plan/package-copies.ts's. Deliberately absent: the
// fetching (packages.ts), and giving up a copy: what nobody needs goes by age and room, as ever.

import type { MemberId, PackageDigest } from '../../../lib/ids.ts'
import { packageCopies, type PackageCopies, type PackageShortage } from '../../plan/package-copies.ts'
import type { PlanInput } from '../../plan/plan.ts'

/** A peer that restarts, or a machine that boots quickly, is back before anybody copies its packages. */
const PATIENCE_MS = 20_000
/** Whoever was elected has no room, perhaps: after each further minute one more member tries. */
const WIDEN_MS = 60_000
/** Missing for this long, it is told to people: a copy of the largest package has had its time on a fair link. */
const OVERDUE_MS = 60_000
/** What is only listed is copied as long as packages take no more than this part of their budget. */
const SPARE_BUDGET_SHARE = 2

export interface CopiesInput extends Pick<PlanInput, 'self' | 'view' | 'membership' | 'statuses'> {
  readonly held: ReadonlySet<PackageDigest>
  readonly usage: { readonly bytes: number; readonly budgetBytes: number }
  readonly nowMs: number
  readonly wall: number
}

interface Missing {
  readonly sinceMs: number
  readonly since: number
}

export class CopyWatch {
  readonly #missing = new Map<PackageDigest, Missing>()
  #taken: ReadonlySet<PackageDigest> = new Set()
  #kept: ReadonlySet<PackageDigest> = new Set()
  #shortages: readonly PackageShortage[] = []

  /** To be fetched here. */
  get taken(): ReadonlySet<PackageDigest> {
    return this.#taken
  }

  /** Here, and not to be dropped: releases run from them, and the cluster counts on these copies. */
  get kept(): ReadonlySet<PackageDigest> {
    return this.#kept
  }

  get shortages(): readonly PackageShortage[] {
    return this.#shortages
  }

  /** Every few seconds. Resolves what changed as sentences for people: of a package that is short for long, or no more. */
  look(input: CopiesInput): readonly { readonly name: string; readonly message: string }[] {
    const { self, held, nowMs } = input
    const all = packageCopies(input)
    const short = all.filter(({ copies, wanted }) => copies < wanted)
    this.#note(short, input)
    const taken = short.filter((each) => this.#isElected(each, input))
    this.#taken = new Set(taken.map(({ digest }) => digest))
    this.#kept = new Set(
      all.flatMap(({ digest, isRun, keepers }) =>
        isRun && held.has(digest) && keepers.includes(self) ? [digest] : [],
      ),
    )
    const before = new Set(this.#shortages.map(({ name }) => name))
    this.#shortages = short.flatMap(({ digest, name, isRun, copies, wanted }): PackageShortage[] => {
      const { sinceMs, since } = this.#missing.get(digest) ?? { sinceMs: nowMs, since: 0 }
      return isRun && nowMs - sinceMs >= OVERDUE_MS ? [{ name, copies, wanted, since }] : []
    })
    const now = new Set(this.#shortages.map(({ name }) => name))
    return [
      ...this.#shortages.flatMap(({ name, copies, wanted }) =>
        before.has(name) ? [] : [{ name, message: `has ${copies} of ${wanted} copies` }],
      ),
      ...[...before].flatMap((name) => (now.has(name) ? [] : [{ name, message: 'has copies enough again' }])),
    ]
  }

  #note(short: readonly PackageCopies[], { nowMs, wall }: CopiesInput): void {
    const digests = new Set(short.map(({ digest }) => digest))
    for (const digest of this.#missing.keys()) if (!digests.has(digest)) this.#missing.delete(digest)
    for (const digest of digests)
      if (!this.#missing.has(digest)) this.#missing.set(digest, { sinceMs: nowMs, since: wall })
  }

  #isElected(
    { digest, bytes, isRun, isThere, copies, wanted, candidates }: PackageCopies,
    { self, held, usage, nowMs }: CopiesInput,
  ): boolean {
    const sinceMs = this.#missing.get(digest)?.sinceMs ?? nowMs
    const waitedMs = nowMs - sinceMs - PATIENCE_MS
    if (waitedMs < 0 || !isThere || held.has(digest)) return false
    if (!isElectedAmong(candidates, self, wanted - copies + Math.floor(waitedMs / WIDEN_MS))) return false
    return isRun || usage.bytes + (bytes ?? 0) <= usage.budgetBytes / SPARE_BUDGET_SHARE
  }
}

const isElectedAmong = (candidates: readonly MemberId[], self: MemberId, count: number): boolean =>
  candidates.slice(0, count).includes(self)
