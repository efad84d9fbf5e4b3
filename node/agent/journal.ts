// What went into this peer's last passes and what each decided, so that an incident can be played again elsewhere. A ring
// of references to values that the peer holds anyway and never changes: to note a pass costs a few comparisons, and text is
// made only when somebody asks (journal-text.ts). Bounded in passes and in what it keeps from being collected (S14).
// Deliberately absent: the disk; what a crash interrupts is in the document, and its passes are gone.

import { changedMembers } from '../../lib/changed-members.ts'
import type { Plan, PlanInput } from '../plan/plan.ts'

/** One pass. */
export interface JournalEntry {
  readonly input: PlanInput
  readonly plan: Plan
  /** Milliseconds since the epoch by this peer's clock: for people. */
  readonly wall: number
}

/** Passes kept: an hour of a fleet that is edited now and then, minutes of one in trouble. */
const ENTRIES_MAX = 1000
/** What the ring may hold beyond what the peer holds anyway, by the estimates below. */
const BYTES_MAX = 8 * 1024 * 1024

// Estimates of live objects, rounded up: a field of a V8 object is 8 bytes, a short string 40.
const ENTRY_BYTES = 600
const SLOT_BYTES = 50
const MEMBER_BYTES = 600
const INSTANCE_BYTES = 600
const LEASE_BYTES = 150
const SERVICE_BYTES = 3000

interface Weighed {
  readonly entry: JournalEntry
  readonly bytes: number
}

export class Journal {
  readonly #ring: Weighed[] = []
  readonly #bytesMax: number
  #bytes = 0

  /** @param bytesMax what it may keep, by its estimate; one pass is always kept. */
  constructor(bytesMax: number = BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  /** Takes values that nobody changes any more. */
  note(entry: JournalEntry): void {
    const bytes = weightOf(entry, this.#ring.at(-1)?.entry)
    this.#ring.push({ entry, bytes })
    this.#bytes += bytes
    while (this.#ring.length > ENTRIES_MAX || (this.#bytes > this.#bytesMax && this.#ring.length > 1)) {
      this.#bytes -= this.#ring.shift()?.bytes ?? 0
    }
  }

  /** The oldest first. */
  entries(): readonly JournalEntry[] {
    return this.#ring.map(({ entry }) => entry)
  }
}

const NOBODY: PlanInput['statuses'] = new Map()

/** What an entry holds that the one before it does not. */
const weightOf = ({ input, plan }: JournalEntry, before: JournalEntry | undefined): number => {
  const last = before?.input
  let bytes = ENTRY_BYTES + plan.reports.length * INSTANCE_BYTES
  bytes += ((input.leases?.size ?? 0) + (plan.leases?.length ?? 0)) * LEASE_BYTES
  bytes += (plan.actions.length + plan.waiting.length + plan.unfulfilled.length) * MEMBER_BYTES
  bytes += (plan.witnessed?.length ?? 0) * SLOT_BYTES
  if (input.membership.members !== last?.membership.members)
    bytes += input.membership.members.length * 2 * SLOT_BYTES
  if (input.statuses !== last?.statuses) {
    bytes += input.statuses.size * SLOT_BYTES
    const earlier = last?.statuses ?? NOBODY
    for (const member of new Set(changedMembers(earlier, input.statuses) ?? input.statuses.keys())) {
      const status = input.statuses.get(member)
      if (status !== undefined && earlier.get(member) !== status)
        bytes += MEMBER_BYTES + status.instances.size * INSTANCE_BYTES
    }
  }
  if (input.view !== last?.view) {
    const known = new Set(last?.view.services)
    bytes += input.view.members.length * MEMBER_BYTES
    for (const service of input.view.services) bytes += known.has(service) ? SLOT_BYTES : SERVICE_BYTES
  }
  if (input.local !== last?.local) {
    const known = new Set(last?.local)
    for (const instance of input.local) bytes += known.has(instance) ? SLOT_BYTES : INSTANCE_BYTES
  }
  return bytes
}
