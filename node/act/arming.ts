// Prepares successors of instances that run (node/plan/heirs.ts says for which), in whatever time is left: a few at a
// time, and none while an action is under way, since an heir is worth nothing to an instance that lives and a start waits
// for the same disk and the same cores. What is not prepared in time costs a slower restart and nothing else.

import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import type { Driver } from '../ports.ts'
import { recordOf } from '../plan/facts.ts'
import type { HeirTerms } from '../plan/local.ts'
import type { Held, HeldInstances } from './held.ts'

/** What it is built from. */
export interface ArmingOptions {
  readonly held: HeldInstances
  readonly driver: Pick<Driver, 'arm' | 'disarm'>
  readonly clock: Clock
  readonly log: Log
  /** The whole environment of a run of that nonce. */
  readonly environmentOf: (held: Held, nonce: string) => Promise<Readonly<Record<string, string>>>
}

// Between two looks at whether actions are over; a start takes a few milliseconds, and nobody waits for this one.
const LOOK_MS = 20
// Few enough that a start that comes meanwhile hardly waits; enough that they share one program that makes their FIFOs.
const ARMS_MAX = 8

/** Arms and disarms. */
export class Arming {
  readonly #options: ArmingOptions
  /** In the order of asking. */
  readonly #wanted = new Map<Held, HeirTerms>()
  readonly #dropping = new WeakSet<Held>()
  #isWorking = false

  constructor(options: ArmingOptions) {
    this.#options = options
  }

  /** Prepares a successor when there is time; the facts say so from now on, so that it is asked for once. */
  want(held: Held, terms: HeirTerms): void {
    if (this.#wanted.has(held) || !isOn(held) || held.facts.heir !== undefined) return
    this.#options.held.set(held, { heir: terms })
    this.#wanted.set(held, terms)
    if (!this.#isWorking) void this.#work()
  }

  /** Takes it back, unless it has begun; resolves when one or the other is certain. */
  async drop(held: Held): Promise<void> {
    const { driver, held: all } = this.#options
    this.#wanted.delete(held)
    if (held.facts.heir === undefined || this.#dropping.has(held)) return
    this.#dropping.add(held)
    const { nonce } = held
    if ((await driver.disarm(held.facts.id)) && held.nonce === nonce) {
      all.set(held, { heir: undefined })
      all.announce(false)
    }
    this.#dropping.delete(held)
  }

  async #work(): Promise<void> {
    const { clock, held: all } = this.#options
    this.#isWorking = true
    for (;;) {
      const some = [...this.#wanted].slice(0, ARMS_MAX)
      if (some.length === 0 || all.isClosed) break
      if (all.all().some(({ running }) => running !== null)) {
        await new Promise<void>((looked) => clock.after(LOOK_MS, looked))
        continue
      }
      for (const [held] of some) this.#wanted.delete(held)
      await Promise.all(some.map(async ([held, terms]) => await this.#arm(held, terms)))
      // So that a plan without an action follows: nothing is left to do.
      all.announce(false)
    }
    this.#isWorking = false
  }

  async #arm(held: Held, terms: HeirTerms): Promise<void> {
    const { clock, driver, environmentOf, held: all, log } = this.#options
    const { nonce, heirNonce } = held
    if (!isOn(held) || held.facts.heir !== terms) return
    let isArmed = false
    try {
      const environment = await environmentOf(held, heirNonce)
      // A start, a stop or an end in that moment: the next plan asks again, if it still wants to.
      if (!isOn(held) || held.nonce !== nonce || held.facts.heir !== terms) return
      held.heirEnvironment = environment
      isArmed = await driver.arm({
        record: recordOf(held.facts, nonce, heirNonce),
        environment,
        condition: terms.condition,
        notBeforeMs: terms.afterMs === 0 ? 0 : held.facts.startedAtMs + terms.afterMs - clock.now(),
      })
    } catch (error) {
      log.log('warn', `no successor of ${held.facts.id} could be prepared; it restarts the longer way`, {
        error,
      })
    }
    if (!isArmed && held.nonce === nonce && held.facts.heir === terms) all.set(held, { heir: 'unavailable' })
  }
}

const isOn = ({ facts }: Held): boolean => facts.phase === 'running' && !facts.draining
