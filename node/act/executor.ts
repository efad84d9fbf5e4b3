// The executor: performs a plan's actions with the driver and reports facts. Each instance's actions run one after the
// other, different instances' side by side; an action that is under way is not begun again. It decides nothing: it
// retries nothing by itself, and a start that failed shows as `broken` until the plan says what to do.
//
//   start ─▶ preparing ─▶ running ─▶ exited ─restart▶ preparing …        stop: running ─▶ stopping ─▶ exited
//                     └─▶ broken ─restart▶ preparing …                   forget: exited, broken ─▶ (gone)

import { unreachable } from '../../lib/assert.ts'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { InstanceId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import { sortedBy } from '../../lib/order.ts'
import type { Clock } from '../../lib/time.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { Adopted, Driver, Exit, Hands, HandsEvents } from '../ports.ts'
import type { Action, RestartAction, StartAction, StopAction } from '../plan/action.ts'
import type { LocalInstance } from '../plan/local.ts'
import { failuresAfter, STABLE_RUN_MS } from '../plan/restart.ts'
import { instanceEnvironment } from './environment.ts'
import { factsOfAdopted, factsOfStart, recordOf } from './facts.ts'
import type { Ports } from './ports.ts'
import { livenessSpecOf, probeSpecOf } from './probe-spec.ts'
import { TALLY_EMPTY, type Prober, type Probing } from './prober.ts'

/** What the executor is built from. */
export interface ExecutorOptions {
  readonly driver: Driver
  readonly prober: Prober
  readonly ports: Ports
  readonly clock: Clock
  readonly log: Log
  /** The peer's name, and its environment (`process.env`), of which instances get a few variables. */
  readonly peer: { readonly name: string; readonly environment: Readonly<Record<string, string | undefined>> }
  /** Fresh and unguessable each time: 8 to 128 letters, digits, `-` and `_`. */
  readonly mintNonce: () => string
  /** Where an instance runs; command probes run there too. */
  readonly directoryOf: (instance: InstanceId, definition: ReleaseDefinition) => string
  /** Opens links to the services used; returns `TUTTI_USES_<SERVICE>` for each. Called at starts and adoptions. */
  readonly linkEnvironment: (uses: readonly string[]) => Promise<Readonly<Record<string, string>>>
  /** The last lines that an instance wrote: evidence when it failed. @default none */
  readonly lastLines?: (instance: InstanceId, count: number) => Promise<readonly string[]>
  /**
   * Whether what refused a spawn for good (no program, no directory) still does; reads the disk and spawns nothing.
   * @throws TuttiError while it does. @default it always does
   */
  readonly lookAgain?: (instance: InstanceId, definition: ReleaseDefinition, path: string) => void
}

// Adopted instances are probed before the first observation, lest a healthy one look unready for a moment; one that
// does not answer within this holds the start of the peer up no longer.
const ADOPTION_PROBE_MS = 1000
// As much evidence as fits into a status that every member keeps: a few lines, and what is before a stack trace's end.
const LAST_LINES = 5
const LAST_LINE_CHARACTERS_MAX = 200
// A look at the disk costs microseconds, and whoever has just installed a program waits for it.
const LOOK_AGAIN_MS = 2000

interface Held {
  facts: LocalInstance
  nonce: string
  running: Action | null
  /** What comes after it; the latest wins, since each plan is made from newer facts. */
  next: Action | null
  probing: Probing | null
  /** Of its liveness. */
  guarding: Probing | null
  /** The stop under way is for this failure. */
  failure: string | null
  cancelForgiveness: () => void
  cancelLook: () => void
}

const nothing = (): void => undefined

/** The hands of a peer. */
export class Executor implements Hands {
  readonly #options: ExecutorOptions
  readonly #held = new Map<InstanceId, Held>()
  #observed: readonly LocalInstance[] | null = null
  #events: HandsEvents = { changed: nothing }
  #announcing: 'no' | 'calmly' | 'urgently' = 'no'
  #closed = false

  constructor(options: ExecutorOptions) {
    this.#options = options
  }

  async start(events: HandsEvents): Promise<void> {
    this.#events = events
    const adopted = await this.#options.driver.start({
      exited: (instance, nonce, exit) => {
        this.#exited(instance, nonce, exit)
      },
    })
    await Promise.all(adopted.map(async (found) => await this.#adopt(found)))
    const firstProbes = [...this.#held.values()].flatMap(({ probing }) => probing?.first ?? [])
    if (firstProbes.length === 0) return
    const enough = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(ADOPTION_PROBE_MS, enough.resolve)
    await Promise.race([Promise.all(firstProbes), enough.promise])
    cancel()
  }

  observe(): readonly LocalInstance[] {
    this.#observed ??= sortedBy(
      [...this.#held.values()].map((held) => held.facts),
      (facts) => facts.id,
    )
    return this.#observed
  }

  execute(actions: readonly Action[]): void {
    if (this.#closed) return
    for (const action of actions) {
      const held = this.#held.get(action.instance) ?? this.#create(action)
      if (held === null) continue
      if (held.running?.kind === action.kind || held.next?.kind === action.kind) continue
      if (held.running === null) void this.#perform(held, action)
      else held.next = action
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const held of this.#held.values()) {
      this.#unwatch(held)
      held.cancelLook()
    }
    await this.#options.driver.close()
  }

  /** An instance enters the facts with its first start, before anything else happens. */
  #create(action: Action): Held | null {
    if (action.kind !== 'start') return null
    return this.#hold('', factsOfStart(action, this.#options.clock.now()))
  }

  #hold(nonce: string, facts: LocalInstance): Held {
    const held: Held = {
      facts,
      nonce,
      running: null,
      next: null,
      probing: null,
      guarding: null,
      failure: null,
      cancelForgiveness: nothing,
      cancelLook: nothing,
    }
    this.#held.set(facts.id, held)
    this.#observed = null
    return held
  }

  async #perform(held: Held, first: Action): Promise<void> {
    for (let action: Action | null = first; action !== null && !this.#closed; action = held.next) {
      held.running = action
      held.next = null
      try {
        await this.#do(held, action)
      } catch (error) {
        this.#options.log.log('error', `${action.kind} of ${action.instance} failed`, { error })
      }
    }
    held.running = null
  }

  async #do(held: Held, action: Action): Promise<void> {
    const { phase } = held.facts
    const isDown = phase === 'exited' || phase === 'broken'
    switch (action.kind) {
      case 'start':
        if (phase === 'running' && held.facts.draining) await this.#drain(held, false)
        else if (isDown || held.facts.runs === 0) await this.#spawn(held, action)
        return
      case 'restart':
        if (isDown) await this.#spawn(held, action)
        return
      case 'drain':
        if (!held.facts.draining) await this.#drain(held, true)
        return
      case 'stop':
        if (phase === 'running') await this.#stop(held, action)
        return
      case 'forget':
        if (isDown) await this.#forget(held)
        return
      default:
        unreachable(action)
    }
  }

  async #spawn(held: Held, action: StartAction | RestartAction): Promise<void> {
    const { clock, driver, ports, mintNonce } = this.#options
    const before = held.facts
    const start = action.kind === 'start' ? action : null
    held.nonce = mintNonce()
    held.cancelLook()
    this.#set(held, {
      phase: 'preparing',
      pid: null,
      exit: null,
      error: null,
      refused: false,
      startedAtMs: clock.now(),
      ...(action.stableRunMs === undefined ? {} : { stableRunMs: action.stableRunMs }),
      probe: TALLY_EMPTY,
      liveness: TALLY_EMPTY,
      // Wanted again: what it drained for is over.
      ...(start === null ? {} : { draining: false, drainingSinceMs: null }),
      ...(start === null ? {} : { cpusMilli: start.cpusMilli, memoryBytes: start.memoryBytes }),
    })
    this.#announce(false)
    try {
      const { id, definition } = before
      this.#set(held, { ports: await ports.allocate(id, definition.ports, before.ports) })
      const environment = await this.#environmentOf(held)
      const record = { ...recordOf(held.facts, held.nonce), runs: before.runs + 1 }
      const { pid, shortfall } = await driver.spawn({ record, environment })
      this.#set(held, { runs: record.runs, shortfall })
      // It may have ended already; then its exit was told, and that is the newer fact.
      if (held.facts.phase !== 'preparing') return
      this.#set(held, { phase: 'running', pid })
      this.#watch(held, environment, 0)
    } catch (error) {
      ports.release(before.id)
      // The driver calls unknown what is not there: nothing that a second try would mend.
      const refused = error instanceof TuttiError && error.code === 'unknown'
      const failuresInARow = before.failuresInARow + 1
      this.#set(held, { phase: 'broken', error: messageOf(error), refused, failuresInARow })
      if (refused) this.#lookLater(held)
    }
    this.#announce(true)
  }

  /** Until what was missing is there; then the plan decides anew. */
  #lookLater(held: Held): void {
    const { clock, lookAgain, peer } = this.#options
    if (lookAgain === undefined) return
    held.cancelLook = clock.after(LOOK_AGAIN_MS, () => {
      const { id, definition, phase } = held.facts
      if (this.#closed || phase !== 'broken') return
      try {
        lookAgain(id, definition, definition.environment['PATH'] ?? peer.environment['PATH'] ?? '')
      } catch (error) {
        const message = messageOf(error)
        if (message !== held.facts.error) {
          this.#set(held, { error: message })
          this.#announce(false)
        }
        this.#lookLater(held)
        return
      }
      // What is new is no failure: it starts without a pause.
      this.#set(held, { refused: false, failuresInARow: 0, startedAtMs: 0 })
      this.#announce(false)
    })
  }

  async #drain(held: Held, draining: boolean): Promise<void> {
    this.#set(held, { draining, drainingSinceMs: draining ? this.#options.clock.now() : null })
    this.#announce(true)
    await this.#options.driver.update(recordOf(held.facts, held.nonce))
  }

  async #stop(held: Held, action: StopAction): Promise<void> {
    held.failure = action.failure ?? null
    this.#set(held, { phase: 'stopping' })
    this.#unwatch(held)
    this.#announce(true)
    await this.#options.driver.stop(action.instance, action.signal, action.graceMs)
    // The driver tells the exit before; unless there was nothing to stop.
    if (held.facts.phase === 'stopping')
      this.#exited(action.instance, held.nonce, { code: null, signal: null })
  }

  async #forget(held: Held): Promise<void> {
    const { id } = held.facts
    held.cancelLook()
    await this.#options.driver.forget(id)
    this.#options.ports.release(id)
    this.#held.delete(id)
    this.#observed = null
    this.#announce(false)
  }

  #exited(instance: InstanceId, nonce: string, exit: Exit): void {
    const held = this.#held.get(instance)
    if (this.#closed || held === undefined || held.nonce !== nonce || held.facts.phase === 'exited') return
    const { phase, startedAtMs, failuresInARow, stableRunMs } = held.facts
    const { failure } = held
    const atMs = this.#options.clock.now()
    const end = { ...exit, atMs, ...(failure === null ? {} : { failure }) }
    held.failure = null
    this.#unwatch(held)
    // A port of what is gone may be another's, as a fixed one of a new release must; a restart asks for it again.
    this.#options.ports.release(instance)
    this.#set(held, {
      phase: 'exited',
      pid: null,
      exit: end,
      lastExit: end,
      // A stop is no failure, whatever the program makes of it, unless it was made for one.
      failuresInARow:
        phase === 'stopping' && failure === null
          ? failuresInARow
          : failuresAfter(failuresInARow, atMs - startedAtMs, stableRunMs),
    })
    this.#announce(true)
    if (phase !== 'stopping' || failure !== null) void this.#keepEvidence(held)
  }

  /** Remembers what the instance wrote last. Late by a read of the disk: no restart waits for it. */
  async #keepEvidence(held: Held): Promise<void> {
    const { lastLines, log } = this.#options
    if (lastLines === undefined) return
    const { id } = held.facts
    try {
      const lines = await lastLines(id, LAST_LINES)
      const lastOutput = lines.map((line) => line.slice(0, LAST_LINE_CHARACTERS_MAX))
      if (this.#closed || this.#held.get(id) !== held) return
      this.#set(held, { lastOutput })
      this.#announce(false)
    } catch (error) {
      log.log('warn', `the last lines of ${id} could not be read`, { error })
    }
  }

  async #adopt(found: Adopted): Promise<void> {
    const { record, pid, ageMs = 0 } = found
    const { instance } = record
    const held = this.#hold(record.nonce, factsOfAdopted(found, this.#options.clock.now()))
    if (pid === null || record.failuresInARow > 0) void this.#keepEvidence(held)
    if (pid === null) return
    this.#options.ports.hold(instance, record.ports)
    let environment: Readonly<Record<string, string>> = {}
    try {
      environment = await this.#environmentOf(held)
    } catch (error) {
      this.#options.log.log('warn', `the links of ${instance} could not be opened again`, { error })
    }
    // A millisecond at least: an age of 0 would be a fresh start, which is given time before it is asked.
    this.#watch(held, environment, Math.max(1, ageMs))
  }

  async #environmentOf(held: Held): Promise<Readonly<Record<string, string>>> {
    const { slot, service, release, definition, ports } = held.facts
    const { peer, linkEnvironment } = this.#options
    const links = definition.uses.length === 0 ? {} : await linkEnvironment(definition.uses)
    return instanceEnvironment({
      slot,
      service,
      release,
      definition,
      ports,
      links,
      nonce: held.nonce,
      peer: peer.name,
      peerEnvironment: peer.environment,
    })
  }

  #watch(held: Held, environment: Readonly<Record<string, string>>, ageMs: number): void {
    const { clock, driver, directoryOf, log, peer, prober } = this.#options
    const { id, definition, failuresInARow, ports, stableRunMs = STABLE_RUN_MS } = held.facts
    const place = { environment, directory: directoryOf(id, definition), peer: peer.name }
    const liveness = livenessSpecOf(definition, ports)
    if (liveness !== null) {
      held.guarding = prober.watch({ spec: liveness, place, ageMs }, (tally, changed) => {
        this.#set(held, { liveness: tally })
        if (changed) this.#announce(false)
      })
    }
    const spec = probeSpecOf(definition, ports)
    if (spec !== null) {
      held.probing = prober.watch({ spec, place, ageMs }, (probe, changed) => {
        const urgent = probe.everOk !== held.facts.probe.everOk || probe.everOk
        this.#set(held, { probe })
        if (changed) this.#announce(urgent)
      })
    }
    if (failuresInARow === 0) return
    held.cancelForgiveness = clock.after(Math.max(0, stableRunMs - ageMs), () => {
      this.#set(held, { failuresInARow: 0 })
      this.#announce(false)
      driver.update(recordOf(held.facts, held.nonce)).catch((error: unknown) => {
        log.log('error', `the record of ${id} could not be written`, { error })
      })
    })
  }

  #unwatch(held: Held): void {
    held.probing?.stop()
    held.guarding?.stop()
    held.probing = null
    held.guarding = null
    held.cancelForgiveness()
    held.cancelForgiveness = nothing
  }

  #set(held: Held, change: Partial<LocalInstance>): void {
    held.facts = { ...held.facts, ...change }
    this.#observed = null
  }

  /** Tells the agent, once for all that happens in one turn. */
  #announce(urgent: boolean): void {
    const scheduled = this.#announcing !== 'no'
    if (urgent || !scheduled) this.#announcing = urgent ? 'urgently' : 'calmly'
    if (scheduled) return
    this.#options.clock.after(0, () => {
      const wasUrgent = this.#announcing === 'urgently'
      this.#announcing = 'no'
      if (!this.#closed) this.#events.changed(wasUrgent)
    })
  }
}
