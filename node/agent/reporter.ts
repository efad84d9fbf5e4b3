// What this peer says of itself after a pass: its instances, and how far it is. Adds to the plan's reports what only the
// shell knows (pid, ports, wall time of the last change) and says nothing that it already said.

import type { Doubt, InstanceStatus, PeerReport } from '../../crdt/schema/status.ts'
import type { ServiceId } from '../../lib/ids.ts'
import type { Json } from '../../lib/order.ts'
import type { LocalInstance } from '../plan/local.ts'
import type { InstanceReport, Plan, PlanInput } from '../plan/plan.ts'

/** Reasons a peer gives for not being settled; more help nobody. */
const WAITING_MAX = 8
/** As the schema bounds the reason of a rollout. */
const REASON_MAX = 2048

export interface ReporterOptions {
  readonly wall: () => number
  /** Sets (or, with null, deletes) an entry of this peer's status; equal values cost nothing. */
  readonly say: (key: string, value: Json) => void
  /** Sends what was said at once, in one record. */
  readonly flush: () => void
  /** Since when (wall time) instances were overdue when this peer last ran, by instance id. @default nothing is known */
  readonly unfulfilledBefore?: ReadonlyMap<string, number>
}

interface Source {
  readonly report: InstanceReport
  readonly here: LocalInstance | undefined
}

export class Reporter {
  readonly #options: ReporterOptions
  readonly #earlier: Map<string, number>
  #said = new Map<string, InstanceStatus>()
  /** Tokens that were said, by instance id. */
  #fences: ReadonlyMap<string, number> = new Map()
  /** What was said of failing checks, by instance id. */
  #doubts: ReadonlyMap<string, Doubt> = new Map()
  /** What that was made from. */
  #sources = new Map<string, Source>()
  /** Ends that were said, with their wall time: worked out anew it would differ by a millisecond, and be a new status. */
  #ends = new Map<string, { readonly atMs: number; readonly at: number }>()
  /** Digest of the last view that was on the disk. */
  #digest = ''
  /** A report of a view that is not on the disk yet. */
  #held: PeerReport | null = null

  constructor(options: ReporterOptions) {
    this.#options = options
    this.#earlier = new Map(options.unfulfilledBefore)
  }

  /** `isDurable`: the view is on this peer's disk. To have a change means to keep it (S2), so a report waits for that. */
  report(input: PlanInput, plan: Plan, isDurable: boolean, troubles: readonly string[]): void {
    const next = new Map<string, InstanceStatus>()
    const sources = new Map<string, Source>()
    const local = new Map(input.local.map((instance) => [instance.id, instance]))
    for (const report of plan.reports) {
      const here = local.get(report.instance)
      const before = this.#said.get(report.instance)
      const source = this.#sources.get(report.instance)
      sources.set(report.instance, { report, here })
      // Most instances are as they were at the last pass, and so is what there is to say of them.
      if (before !== undefined && source?.here === here && isAlike(source?.report, report)) {
        next.set(report.instance, before)
        continue
      }
      const since = before?.state === report.state ? before.since : this.#since(input, here)
      const status: InstanceStatus = {
        slot: report.slot,
        release: report.instance.slice(report.instance.lastIndexOf('@') + 1),
        state: report.state,
        pid: here?.pid ?? null,
        ports: { ...here?.ports },
        since,
        restarts: report.restarts,
        reason: report.reason,
        cpusMilli: here?.cpusMilli ?? 0,
        memoryBytes: here?.memoryBytes ?? 0,
        ...(report.claim === undefined ? {} : { claim: report.claim }),
        ...this.#troubleOf(report, input.nowMs),
      }
      // The same object as before: of many instances few change in one pass, and the others cost nothing more.
      next.set(report.instance, before !== undefined && isSame(before, status) ? before : status)
    }
    this.#sayFences(input.local, next)
    // Readiness and its loss leave at once (others wait for them); a growing restart count may wait a second.
    let urgent = false
    for (const id of this.#said.keys()) {
      if (next.has(id)) continue
      urgent = true
      this.#options.say(`instance/${id}`, null)
    }
    for (const [id, status] of next) {
      // A claim is waited for as a readiness is: another member goes on serving until it hears of it.
      const before = this.#said.get(id)
      if (before === status) continue
      urgent ||= before?.state !== status.state || before.claim !== status.claim
      this.#options.say(`instance/${id}`, status)
    }
    this.#said = next
    this.#sources = sources
    if (this.#tellRollouts(input, plan)) urgent = true
    if (this.#sayDoubts(plan.reports)) urgent = true
    for (const id of this.#ends.keys()) if (!next.has(id)) this.#ends.delete(id)
    // What the last incarnation said counts until the slot is as desired again.
    for (const id of this.#earlier.keys()) if (next.get(id)?.state === 'ready') this.#earlier.delete(id)
    const waiting = [...troubles, ...plan.waiting].slice(0, WAITING_MAX)
    const settled = plan.actions.length === 0 && waiting.length === 0
    this.#held = { digest: input.view.digest, settled, waiting }
    if (isDurable) this.durable()
    // Why the disk does not take it is told at once, with what it took last.
    else if (troubles.length > 0)
      this.#options.say('report', { digest: this.#digest, settled: false, waiting })
    if (urgent) this.#options.flush()
  }

  /** Says what this peer says as a steward; true when others may wait for it. */
  #tellRollouts({ self, statuses }: PlanInput, { stewardship }: Plan): boolean {
    if (stewardship === undefined) return false
    const before = statuses.get(self)
    let urgent = false
    for (const service of before?.rollouts?.keys() ?? [])
      if (!stewardship.words.has(service as ServiceId)) this.#options.say(`rollout/${service}`, null)
    for (const [service, word] of stewardship.words) {
      const was = before?.rollouts?.get(service)
      const goesOn = was?.release === word.release && was.phase === word.phase && was.wave === word.wave
      const since = goesOn ? was.since : Math.max(0, Math.floor(this.#options.wall()))
      urgent ||= !goesOn || was.open !== word.open
      this.#options.say(`rollout/${service}`, { ...word, reason: word.reason.slice(0, REASON_MAX), since })
    }
    for (const key of before?.hooks?.keys() ?? [])
      if (!stewardship.hooks.has(key)) this.#options.say(`hook/${key}`, null)
    for (const [key, hook] of stewardship.hooks) {
      urgent ||= before?.hooks?.get(key)?.state !== hook.state
      this.#options.say(`hook/${key}`, { ...hook, reason: hook.reason.slice(0, REASON_MAX) })
    }
    return urgent
  }

  /** The view of the last report is on the disk now. */
  durable(): void {
    if (this.#held === null) return
    const { digest, settled, waiting } = this.#held
    this.#held = null
    this.#digest = digest
    this.#options.say('report', { digest, settled, waiting: [...waiting] })
  }

  /** The tokens of what is reported. */
  #sayFences(local: readonly LocalInstance[], reported: ReadonlyMap<string, unknown>): void {
    const next = new Map<string, number>()
    for (const { id, fence } of local) if (fence !== undefined && reported.has(id)) next.set(id, fence)
    for (const id of this.#fences.keys()) if (!next.has(id)) this.#options.say(`fence/${id}`, null)
    for (const [id, token] of next)
      if (this.#fences.get(id) !== token) this.#options.say(`fence/${id}`, { token })
    this.#fences = next
  }

  /** Whose checks fail; true when others may wait for it. */
  #sayDoubts(reports: readonly InstanceReport[]): boolean {
    const next = new Map<string, Doubt>()
    let urgent = false
    for (const { instance, lapses = 0, lapsed = false } of reports) {
      if (lapses === 0) continue
      const before = this.#doubts.get(instance)
      const same = before?.lapses === lapses && before.now === lapsed
      next.set(instance, same ? before : { lapses, now: lapsed })
      if (!same) this.#options.say(`doubt/${instance}`, { lapses, now: lapsed })
      urgent ||= !same && lapsed
    }
    for (const id of this.#doubts.keys()) if (!next.has(id)) this.#options.say(`doubt/${id}`, null)
    this.#doubts = next
    return urgent
  }

  /** Wall time of an end. */
  #endOf(instance: string, atMs: number, nowMs: number): number {
    const known = this.#ends.get(instance)
    if (known?.atMs === atMs) return known.at
    const at = Math.max(0, Math.floor(this.#options.wall() - (nowMs - atMs)))
    this.#ends.set(instance, { atMs, at })
    return at
  }

  /** Since when it is overdue, said once and then kept, since a time worked out anew would be a new status; and evidence. */
  #troubleOf(
    report: InstanceReport,
    nowMs: number,
  ): Pick<InstanceStatus, 'unfulfilledSince' | 'exit' | 'output'> {
    const { instance, unfulfilledSinceMs: sinceMs, exit, output } = report
    const wall = Math.floor(this.#options.wall() - (nowMs - (sinceMs ?? nowMs)))
    const known = this.#said.get(instance)?.unfulfilledSince ?? this.#earlier.get(instance)
    return {
      ...(sinceMs === undefined ? {} : { unfulfilledSince: known ?? Math.max(0, wall) }),
      ...(exit === undefined
        ? {}
        : { exit: { code: exit.code, signal: exit.signal, at: this.#endOf(instance, exit.atMs, nowMs) } }),
      ...(output === undefined ? {} : { output: [...output] }),
    }
  }

  /** Wall time of a change that is seen now; of an end, its own, which may be long past when the peer was away. */
  #since({ nowMs }: PlanInput, here: LocalInstance | undefined): number {
    const endedAtMs = here?.phase === 'exited' ? here.exit?.atMs : undefined
    return Math.floor(this.#options.wall() - Math.max(0, nowMs - (endedAtMs ?? nowMs)))
  }
}

/** Of plain values that name their members in one order, as values made by one expression do. */
const isSame = (one: unknown, other: unknown): boolean => {
  if (one === other) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  const others = Object.entries(other)
  const entries = Object.entries(one)
  return (
    entries.length === others.length &&
    entries.every(([name, value], at) => name === others[at]?.[0] && isSame(value, others[at]?.[1]))
  )
}

/** All of a report; a field that is missing here does not compile. */
const REPORT_FIELDS = Object.values({
  instance: 'instance',
  slot: 'slot',
  state: 'state',
  restarts: 'restarts',
  reason: 'reason',
  claim: 'claim',
  lapses: 'lapses',
  lapsed: 'lapsed',
  unfulfilledSinceMs: 'unfulfilledSinceMs',
  exit: 'exit',
  output: 'output',
} satisfies { readonly [F in keyof Required<InstanceReport>]: F })

/** Nothing in it was made anew. */
const isAlike = (one: InstanceReport | undefined, other: InstanceReport): boolean =>
  one !== undefined && REPORT_FIELDS.every((field) => one[field] === other[field])
