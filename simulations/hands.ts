// The hands of a simulated peer: the rules of node/act's executor over scripted processes, without promises, so that one
// queue orders everything. Closing them (a crash of the peer) leaves the machine's processes running; new hands on the
// same machine adopt them. Links and output do not exist here.

import { messageOf, TuttiError } from '../lib/errors.ts'
import type { InstanceId, SlotId } from '../lib/ids.ts'
import { sortedBy } from '../lib/order.ts'
import type { Exit, Hands, HandsEvents, InstanceRecord } from '../node/ports.ts'
import type { Action, ArmAction, RestartAction, StartAction, StopAction } from '../node/plan/action.ts'
import { livenessOf, probeOf } from '../node/plan/health.ts'
import type { HeldLease } from '../node/plan/lease/terms.ts'
import type { LocalInstance } from '../node/plan/local.ts'
import { failuresAfter, STABLE_RUN_MS } from '../node/plan/restart.ts'
import {
  factsOfAdopted,
  factsOfStart,
  factsOfSuccession,
  recordOf,
  TALLY_EMPTY,
  withFailure,
} from '../node/plan/facts.ts'
import { adoptedOf, type ScriptedMachine, type ScriptedProcess } from './processes.ts'

// As in node/act/ports.ts: below the ephemeral range. Every simulated machine has all of them.
const PORT_FIRST = 20_000

interface Held {
  facts: LocalInstance
  nonce: string
  /** The nonce that a successor of the present run would have. */
  heirNonce: string
  /** The stop under way is for this failure. */
  failure: string | null
  cancels: (() => void)[]
}

/** Hears of a drain or a stop before it is done. */
export type EndingListener = (record: InstanceRecord, how: 'drain' | 'stop') => void

/** Hands over a scripted machine. */
export class ScriptedHands implements Hands {
  readonly #machine: ScriptedMachine
  readonly #ending: EndingListener
  readonly #held = new Map<InstanceId, Held>()
  #events: HandsEvents = { changed: () => undefined }
  #open = false
  #nonces = 0

  constructor(machine: ScriptedMachine, ending: EndingListener = () => undefined) {
    this.#machine = machine
    this.#ending = ending
  }

  async start(events: HandsEvents): Promise<void> {
    this.#events = events
    this.#open = true
    this.#machine.listen((process, successor) => {
      this.#ended(process, successor)
    })
    for (const process of this.#machine.take()) this.#adopt(process)
  }

  observe(): readonly LocalInstance[] {
    return sortedBy(
      [...this.#held.values()].map((held) => held.facts),
      (facts) => facts.id,
    )
  }

  execute(actions: readonly Action[]): void {
    if (!this.#open) return
    for (const action of actions) {
      const held = this.#held.get(action.instance)
      if (action.kind === 'start') this.#start(action, held)
      else if (held !== undefined) this.#do(held, action)
    }
  }

  extend(slot: SlotId, lease: HeldLease): void {
    if (!this.#open) return
    for (const { facts } of this.#held.values())
      if (facts.slot === slot && facts.phase !== 'exited') this.#machine.extend(facts.id, lease)
  }

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#machine.listen(null)
    for (const held of this.#held.values()) this.#calm(held)
  }

  #do(held: Held, action: Exclude<Action, StartAction>): void {
    const { phase, draining } = held.facts
    const isDown = phase === 'exited' || phase === 'broken'
    if (action.kind === 'restart' && isDown) this.#spawn(held, action)
    if (action.kind === 'drain' && !draining) this.#drain(held, true)
    if (action.kind === 'stop' && phase === 'running') this.#stop(held, action)
    if (action.kind === 'arm' && phase === 'running' && !draining) this.#arm(held, action)
    if (action.kind === 'disarm') this.#disarm(held)
    if (action.kind === 'forget' && isDown) {
      this.#machine.forget(action.instance)
      this.#held.delete(action.instance)
      this.#changed(false)
    }
  }

  #start(action: StartAction, present: Held | undefined): void {
    if (present === undefined) {
      this.#spawn(this.#hold(factsOfStart(action, this.#machine.clock.now())), action)
      return
    }
    const { cpusMilli, memoryBytes } = action
    const { phase, draining } = present.facts
    if (phase === 'running' && draining) this.#drain(present, false)
    if (phase !== 'exited' && phase !== 'broken') return
    this.#set(present, { draining: false, drainingSinceMs: null, cpusMilli, memoryBytes })
    this.#spawn(present, action)
  }

  #hold(facts: LocalInstance, nonce = '', heirNonce = ''): Held {
    const held: Held = { facts, nonce, heirNonce, failure: null, cancels: [] }
    this.#held.set(facts.id, held)
    return held
  }

  #spawn(held: Held, { stableRunMs, lease }: StartAction | RestartAction): void {
    const { runs, failuresInARow } = held.facts
    const startedAtMs = this.#machine.clock.now()
    held.nonce = this.#mintNonce()
    held.heirNonce = this.#mintNonce()
    const ports = this.#portsFor(held)
    this.#set(held, {
      phase: 'preparing',
      exit: null,
      refused: false,
      fence: lease?.token,
      startedAtMs,
      ports,
      ...(stableRunMs === undefined ? {} : { stableRunMs }),
      probe: TALLY_EMPTY,
      liveness: TALLY_EMPTY,
      heir: undefined,
    })
    try {
      const record = { ...recordOf(held.facts, held.nonce, held.heirNonce), runs: runs + 1 }
      const { pid } = this.#machine.spawn(record, lease)
      this.#set(held, { phase: 'running', pid, runs: runs + 1 })
      this.#watch(held)
    } catch (error) {
      // Nothing that a second try would mend: programs do not appear on a simulated machine.
      const refused = error instanceof TuttiError && error.code === 'unknown'
      const broken = { phase: 'broken', pid: null, error: messageOf(error), refused } as const
      this.#set(held, { ...broken, failuresInARow: failuresInARow + 1 })
    }
    this.#changed(true)
  }

  #arm(held: Held, { terms }: ArmAction): void {
    if (held.facts.heir !== undefined) return
    const { condition, afterMs } = terms
    const isArmed = this.#machine.arm({
      record: recordOf(held.facts, held.nonce, held.heirNonce),
      condition,
      notBeforeMs: held.facts.startedAtMs + afterMs - this.#machine.clock.now(),
    })
    this.#set(held, { heir: isArmed ? terms : 'unavailable' })
    this.#changed(false)
  }

  #disarm(held: Held): void {
    if (held.facts.heir === undefined) return
    this.#machine.disarm(held.facts.id)
    this.#set(held, { heir: undefined })
    this.#changed(false)
  }

  #mintNonce(): string {
    this.#nonces += 1
    return `nonce-${this.#machine.clock.now()}-${this.#nonces}`
  }

  #portsFor({ facts }: Held): Readonly<Record<string, number>> {
    const taken = new Set(
      this.observe().flatMap((other) => (other.id === facts.id ? [] : Object.values(other.ports))),
    )
    const ports: Record<string, number> = {}
    for (const name of Object.keys(facts.definition.ports).toSorted()) {
      let port = facts.definition.ports[name] ?? 0
      if (port === 0) port = facts.ports[name] ?? PORT_FIRST
      while (facts.definition.ports[name] === 0 && taken.has(port)) port += 1
      taken.add(port)
      ports[name] = port
    }
    return ports
  }

  #drain(held: Held, draining: boolean): void {
    if (draining) this.#ending(recordOf(held.facts, held.nonce, held.heirNonce), 'drain')
    if (draining) this.#disarm(held)
    this.#set(held, { draining, drainingSinceMs: draining ? this.#machine.clock.now() : null })
    this.#machine.update(recordOf(held.facts, held.nonce, held.heirNonce))
    this.#changed(true)
  }

  #stop(held: Held, action: StopAction): void {
    this.#ending(recordOf(held.facts, held.nonce, held.heirNonce), 'stop')
    held.failure = action.failure ?? null
    this.#calm(held)
    this.#set(held, { phase: 'stopping' })
    void this.#machine.stop(action.instance, action.signal, action.graceMs)
    this.#changed(true)
  }

  #ended({ record, exit }: ScriptedProcess, successor: ScriptedProcess | null): void {
    this.#machine.endGroup(record.nonce)
    const held = this.#held.get(record.instance)
    if (held === undefined || held.nonce !== record.nonce || exit === null) return
    if (successor === null) this.#exited(held, exit)
    else this.#succeeded(held, exit, successor)
    this.#changed(true)
  }

  #succeeded(held: Held, exit: Exit, { pid, record }: ScriptedProcess): void {
    held.nonce = record.nonce
    held.heirNonce = this.#mintNonce()
    this.#calm(held)
    this.#set(held, factsOfSuccession(held.facts, exit, pid, this.#machine.clock.now()))
    this.#machine.update(recordOf(held.facts, held.nonce, held.heirNonce))
    this.#watch(held)
  }

  #exited(held: Held, exit: Exit): void {
    const { phase, startedAtMs, failuresInARow, stableRunMs } = held.facts
    const { failure } = held
    const atMs = this.#machine.clock.now()
    const end = { ...exit, atMs, ...(failure === null ? {} : { failure }) }
    held.failure = null
    this.#calm(held)
    this.#set(held, {
      phase: 'exited',
      pid: null,
      exit: end,
      error: null,
      lastExit: end,
      failuresInARow:
        phase === 'stopping' && failure === null
          ? failuresInARow
          : failuresAfter(failuresInARow, atMs - startedAtMs, stableRunMs),
      heir: undefined,
    })
  }

  #adopt(process: ScriptedProcess): void {
    const { record, exit } = process
    const nowMs = this.#machine.clock.now()
    if (exit !== null) this.#machine.endGroup(record.nonce)
    const facts = factsOfAdopted(adoptedOf(process, nowMs), nowMs)
    const held = this.#hold(facts, record.nonce, record.heir ?? this.#mintNonce())
    if (exit === null) this.#watch(held)
  }

  #watch(held: Held): void {
    const { startedAtMs, failuresInARow, stableRunMs = STABLE_RUN_MS } = held.facts
    const ageMs = this.#machine.clock.now() - startedAtMs
    const at = (sinceStartMs: number, fire: () => void): void => {
      held.cancels.push(this.#machine.clock.after(Math.max(0, sinceStartMs - ageMs), fire))
    }
    if (failuresInARow > 0) {
      at(stableRunMs, () => {
        this.#set(held, { failuresInARow: 0 })
        this.#machine.update(recordOf(held.facts, held.nonce, held.heirNonce))
        this.#changed(false)
      })
    }
    this.#watchReadiness(held, ageMs, at)
    this.#watchLiveness(held, ageMs, at)
  }

  /** One event when it becomes ready, one an interval while it is unwell; none else. */
  #watchReadiness(held: Held, ageMs: number, at: (sinceStartMs: number, fire: () => void) => void): void {
    const { id, definition } = held.facts
    const process = this.#machine.find(id)
    const spec = probeOf(definition)
    if (process === null || spec === null) return
    const { readyAfterMs, unwell } = process.script
    const ask = (): void => {
      this.#tally(held)
    }
    // Adopted and ready: known at once, as the real hands ask before they are first observed.
    if (ageMs > 0 && this.#machine.isWell(id))
      this.#set(held, { probe: { ...TALLY_EMPTY, okInARow: 1, everOk: true } })
    else if (readyAfterMs !== null) at(readyAfterMs, ask)
    if (unwell === null || definition.healthcheck === null) return
    for (let sinceMs = unwell.fromMs; sinceMs < unwell.toMs; sinceMs += spec.intervalMs)
      if (sinceMs >= ageMs) at(sinceMs, ask)
    if (unwell.toMs >= ageMs) at(unwell.toMs, ask)
  }

  /** One event an interval once it hangs; before that it is alive, which says nothing new. */
  #watchLiveness(held: Held, ageMs: number, at: (sinceStartMs: number, fire: () => void) => void): void {
    const { id, definition } = held.facts
    const spec = livenessOf(definition)
    const hangsAfterMs = this.#machine.find(id)?.script.hangsAfterMs ?? null
    if (spec === null) return
    this.#set(held, { liveness: { ...TALLY_EMPTY, okInARow: 1, everOk: true } })
    if (hangsAfterMs === null) return
    const ask = (): void => {
      const { liveness = TALLY_EMPTY } = held.facts
      const failedInARow = liveness.failedInARow + 1
      this.#set(held, { liveness: { ...liveness, okInARow: 0, failedInARow, lastFailure: 'hangs' } })
      this.#changed(false)
      held.cancels.push(this.#machine.clock.after(spec.intervalMs, ask))
    }
    at(Math.max(hangsAfterMs, ageMs), ask)
  }

  #tally(held: Held): void {
    const { probe, id } = held.facts
    const well = this.#machine.isWell(id)
    this.#set(held, {
      probe: well
        ? { ...probe, okInARow: probe.okInARow + 1, failedInARow: 0, everOk: true, lastFailure: '' }
        : withFailure(probe, true, 'unwell'),
    })
    this.#changed(true)
  }

  #calm(held: Held): void {
    for (const cancel of held.cancels.splice(0)) cancel()
  }

  #set(held: Held, change: Partial<LocalInstance>): void {
    held.facts = { ...held.facts, ...change }
  }

  #changed(urgent: boolean): void {
    this.#machine.clock.after(0, () => {
      if (this.#open) this.#events.changed(urgent)
    })
  }
}
