// The hands of a simulated peer: the rules of node/act's executor over scripted processes, without promises, so that one
// queue orders everything. Closing them (a crash of the peer) leaves the machine's processes running; new hands on the
// same machine adopt them. Links and output do not exist here.

import { messageOf } from '../lib/errors.ts'
import type { InstanceId } from '../lib/ids.ts'
import { sortedBy } from '../lib/order.ts'
import type { Hands, HandsEvents, InstanceRecord } from '../node/ports.ts'
import type { Action, StartAction, StopAction } from '../node/plan/action.ts'
import { probeOf } from '../node/plan/health.ts'
import type { LocalInstance, ProbeTally } from '../node/plan/local.ts'
import { failuresAfter, STABLE_RUN_MS } from '../node/plan/restart.ts'
import type { ScriptedMachine, ScriptedProcess } from './processes.ts'

const TALLY_EMPTY: ProbeTally = { okInARow: 0, failedInARow: 0, everOk: false, lastFailure: '' }
// As in node/act/ports.ts: below the ephemeral range. Every simulated machine has all of them.
const PORT_FIRST = 20_000

interface Held {
  facts: LocalInstance
  nonce: string
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
  #spawns = 0

  constructor(machine: ScriptedMachine, ending: EndingListener = () => undefined) {
    this.#machine = machine
    this.#ending = ending
  }

  async start(events: HandsEvents): Promise<void> {
    this.#events = events
    this.#open = true
    this.#machine.listen((process) => {
      this.#ended(process)
    })
    for (const process of this.#machine.processes()) this.#adopt(process)
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

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#machine.listen(null)
    for (const held of this.#held.values()) this.#calm(held)
  }

  #do(held: Held, action: Exclude<Action, StartAction>): void {
    const { phase, draining } = held.facts
    const isDown = phase === 'exited' || phase === 'broken'
    if (action.kind === 'restart' && isDown) this.#spawn(held)
    if (action.kind === 'drain' && !draining) this.#drain(held, true)
    if (action.kind === 'stop' && phase === 'running') this.#stop(held, action)
    if (action.kind === 'forget' && isDown) {
      this.#machine.forget(action.instance)
      this.#held.delete(action.instance)
      this.#changed(false)
    }
  }

  #start(action: StartAction, present: Held | undefined): void {
    const { instance, slot, service, release, definition, cpusMilli, memoryBytes } = action
    if (present === undefined) {
      this.#spawn(
        this.#hold('', {
          id: instance,
          slot,
          service,
          release,
          definition,
          cpusMilli,
          memoryBytes,
          phase: 'preparing',
          draining: false,
          drainingSinceMs: null,
          pid: null,
          ports: {},
          startedAtMs: this.#machine.clock.now(),
          runs: 0,
          failuresInARow: 0,
          proofMs: action.proofMs,
          exit: null,
          error: null,
          probe: TALLY_EMPTY,
        }),
      )
      return
    }
    const { phase, draining } = present.facts
    if (phase === 'running' && draining) this.#drain(present, false)
    if (phase !== 'exited' && phase !== 'broken') return
    this.#set(present, { draining: false, drainingSinceMs: null, cpusMilli, memoryBytes })
    this.#spawn(present)
  }

  #hold(nonce: string, facts: LocalInstance): Held {
    const held: Held = { facts, nonce, cancels: [] }
    this.#held.set(facts.id, held)
    return held
  }

  #spawn(held: Held): void {
    const { runs, failuresInARow } = held.facts
    const startedAtMs = this.#machine.clock.now()
    this.#spawns += 1
    held.nonce = `nonce-${startedAtMs}-${this.#spawns}`
    const ports = this.#portsFor(held)
    this.#set(held, { phase: 'preparing', exit: null, error: null, startedAtMs, ports, probe: TALLY_EMPTY })
    try {
      const { pid } = this.#machine.spawn({ ...recordOf(held), runs: runs + 1 })
      this.#set(held, { phase: 'running', pid, runs: runs + 1 })
      this.#watch(held)
    } catch (error) {
      const broken = { phase: 'broken', pid: null, error: messageOf(error) } as const
      this.#set(held, { ...broken, failuresInARow: failuresInARow + 1 })
    }
    this.#changed(true)
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
    if (draining) this.#ending(recordOf(held), 'drain')
    this.#set(held, { draining, drainingSinceMs: draining ? this.#machine.clock.now() : null })
    this.#machine.update(recordOf(held))
    this.#changed(true)
  }

  #stop(held: Held, action: StopAction): void {
    this.#ending(recordOf(held), 'stop')
    this.#calm(held)
    this.#set(held, { phase: 'stopping' })
    void this.#machine.stop(action.instance, action.signal, action.graceMs)
    this.#changed(true)
  }

  #ended({ record, exit }: ScriptedProcess): void {
    this.#machine.endGroup(record.nonce)
    const held = this.#held.get(record.instance)
    if (held === undefined || held.nonce !== record.nonce || exit === null) return
    const { phase, startedAtMs, failuresInARow } = held.facts
    const atMs = this.#machine.clock.now()
    this.#calm(held)
    this.#set(held, {
      phase: 'exited',
      pid: null,
      exit: { ...exit, atMs },
      failuresInARow:
        phase === 'stopping' ? failuresInARow : failuresAfter(failuresInARow, atMs - startedAtMs),
    })
    this.#changed(true)
  }

  #adopt({ record, pid, exit, startedAtMs }: ScriptedProcess): void {
    const atMs = this.#machine.clock.now()
    const { instance, slot, service, release, definition, cpusMilli, memoryBytes, draining } = record
    if (exit !== null) this.#machine.endGroup(record.nonce)
    const held = this.#hold(record.nonce, {
      id: instance,
      slot,
      service,
      release,
      definition,
      cpusMilli,
      memoryBytes,
      draining,
      startedAtMs,
      ports: record.ports,
      runs: record.runs,
      error: null,
      probe: TALLY_EMPTY,
      phase: exit === null ? 'running' : 'exited',
      pid: exit === null ? pid : null,
      drainingSinceMs: draining ? atMs : null,
      failuresInARow: record.failuresInARow + (exit === null ? 0 : 1),
      exit: exit === null ? null : { ...exit, atMs },
    })
    if (exit === null) this.#watch(held)
  }

  /** One event when it becomes ready, one an interval while it is unwell; none else. */
  #watch(held: Held): void {
    const { id, definition, startedAtMs, failuresInARow } = held.facts
    const process = this.#machine.find(id)
    if (process === null) return
    const ageMs = this.#machine.clock.now() - startedAtMs
    const at = (sinceStartMs: number, fire: () => void): void => {
      held.cancels.push(this.#machine.clock.after(Math.max(0, sinceStartMs - ageMs), fire))
    }
    if (failuresInARow > 0) {
      at(STABLE_RUN_MS, () => {
        this.#set(held, { failuresInARow: 0 })
        this.#machine.update(recordOf(held))
        this.#changed(false)
      })
    }
    const spec = probeOf(definition)
    if (spec === null) return
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

  #tally(held: Held): void {
    const { probe, id } = held.facts
    const well = this.#machine.isWell(id)
    this.#set(held, {
      probe: well
        ? { okInARow: probe.okInARow + 1, failedInARow: 0, everOk: true, lastFailure: '' }
        : { ...probe, okInARow: 0, failedInARow: probe.failedInARow + 1, lastFailure: 'unwell' },
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

const recordOf = ({ facts, nonce }: Held): InstanceRecord => {
  const { id, slot, service, release, definition, cpusMilli, memoryBytes } = facts
  const { ports, runs, failuresInARow, draining } = facts
  return {
    instance: id,
    slot,
    service,
    release,
    definition,
    cpusMilli,
    memoryBytes,
    ports,
    nonce,
    runs,
    failuresInARow,
    draining,
  }
}
