// Duties of a steward beyond saying words: the edit that takes a failed release back, and a question over HTTP. Each is begun
// once while the plan asks for it; what came of it is handed to the next plan. Deliberately absent: when there is one
// (node/plan/rollout), and how a question travels (a shell).

import { rejectRelease } from '../../crdt/rollout-edits.ts'
import type { HookStatus } from '../../crdt/schema/status.ts'
import type { View } from '../../crdt/schema/view.ts'
import { unreachable } from '../../lib/assert.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Clock } from '../../lib/time.ts'
import type { Duty } from '../plan/rollout/judge.ts'
import type { AgentPort } from '../ports.ts'
import { dutyKeyOf } from '../plan/rollout/verification.ts'

/** Asks a URL until it answers with a status of 200 to 399. Resolves with null, or with why it did not in that time. */
export type VerifyHttp = (url: string, timeoutMs: number) => Promise<string | null>

export interface DutiesOptions {
  readonly clock: Clock
  /** What is edited, and its past. */
  readonly agent: Pick<AgentPort, 'edit' | 'past'> & { view(): View }
  /** @default whatever is asked answers well */
  readonly verifyHttp?: VerifyHttp
  /** An outcome is there: plan anew. */
  readonly changed: () => void
}

/** An edit that the disk refused is tried again after this long. */
const RETRY_MS = 1000
/** Releases looked at for the one that was good: fifty failures ago nobody goes back. */
const RELEASES_SEARCHED_MAX = 50
/** As the change's message is bounded, with room for the rest of the sentence. */
const REASON_CHARACTERS_MAX = 300

export class Duties {
  readonly #options: DutiesOptions
  #outcomes: ReadonlyMap<string, HookStatus> = new Map()

  constructor(options: DutiesOptions) {
    this.#options = options
  }

  /** What came of each duty so far, by its key. The same value until something changes. */
  outcomes(): ReadonlyMap<string, HookStatus> {
    return this.#outcomes
  }

  /** Begins what is not begun; forgets outcomes of releases that nobody wants any more. */
  perform(duties: readonly Duty[]): void {
    this.#forget()
    for (const duty of duties) {
      const key = dutyKeyOf(duty)
      if (this.#outcomes.has(key)) continue
      this.#set(key, { state: 'running', reason: '' })
      void this.#begin(key, duty)
    }
  }

  #forget(): void {
    if (this.#outcomes.size === 0) return
    const wanted = new Set(this.#options.agent.view().services.map(({ id, release }) => `${id}@${release}`))
    const kept = [...this.#outcomes].filter(([key]) => wanted.has(key.split(' ')[1] ?? ''))
    if (kept.length < this.#outcomes.size) this.#outcomes = new Map(kept)
  }

  #set(key: string, outcome: HookStatus | null): void {
    const next = new Map(this.#outcomes)
    if (outcome === null) next.delete(key)
    else next.set(key, outcome)
    this.#outcomes = next
  }

  async #begin(key: string, duty: Duty): Promise<void> {
    try {
      const failure = await this.#do(duty)
      this.#set(key, failure === null ? { state: 'done', reason: '' } : { state: 'failed', reason: failure })
    } catch (thrown) {
      this.#set(key, { state: 'failed', reason: messageOf(thrown) })
      this.#options.clock.after(RETRY_MS, () => {
        this.#set(key, null)
        this.#options.changed()
      })
    }
    this.#options.changed()
  }

  /** Null, or why it failed for good. */
  async #do(duty: Duty): Promise<string | null> {
    switch (duty.kind) {
      case 'revert':
        return await this.#revert(duty)
      case 'verify-http': {
        const failure = (await this.#options.verifyHttp?.(duty.url, duty.timeoutMs)) ?? null
        return failure === null ? null : `verify of ${duty.url} failed: ${failure}`
      }
      default:
        return unreachable(duty)
    }
  }

  async #revert({ service, release, to, reason }: Extract<Duty, { kind: 'revert' }>): Promise<string | null> {
    const { clock, agent } = this.#options
    const as = agent.past
      .releasesOf(service, RELEASES_SEARCHED_MAX)
      .find((earlier) => earlier.release === to)?.service
    if (as === undefined) return `release ${to} is not in the history of ${service}`
    const at = Math.max(0, Math.floor(clock.wall()))
    const edits = rejectRelease(agent.view(), { service, release }, as, { reason, at })
    if (edits.length === 0) return null
    const short =
      reason.length > REASON_CHARACTERS_MAX ? `${reason.slice(0, REASON_CHARACTERS_MAX)}…` : reason
    await agent.edit(edits, {
      message: `rollout of ${service} to ${release} failed: ${short}; back to ${to}`,
      at,
    })
    return null
  }
}
