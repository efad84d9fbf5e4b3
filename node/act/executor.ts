// The executor: performs a plan's actions with the driver and reports facts. Each instance's actions run one after the
// other, different instances' side by side; an action that is under way is not begun again. It decides nothing: it
// retries nothing by itself, and a start that failed shows as `broken` until the plan says what to do. Facts are kept by
// held.ts, probes by watching.ts, and what follows a failure by aftermath.ts.
//
//   start ─▶ preparing ─▶ running ─▶ exited ─restart▶ preparing …        stop: running ─▶ stopping ─▶ exited
//                     └─▶ broken ─restart▶ preparing …                   forget: exited, broken ─▶ (gone)

import { unreachable } from '../../lib/assert.ts'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { InstanceId, SlotId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { Adopted, Driver, Exit, Hands, HandsEvents, Successor } from '../ports.ts'
import type { Action, RestartAction, StartAction, StopAction } from '../plan/action.ts'
import type { HeldLease } from '../plan/lease/terms.ts'
import { factsOfAdopted, factsOfStart, factsOfSuccession, recordOf, TALLY_EMPTY } from '../plan/facts.ts'
import type { LocalInstance } from '../plan/local.ts'
import { failuresAfter } from '../plan/restart.ts'
import { Aftermath, type AftermathOptions } from './aftermath.ts'
import { Arming } from './arming.ts'
import { instanceEnvironment } from './environment.ts'
import { HeldInstances, type Held, type Queued } from './held.ts'
import type { Ports } from './ports.ts'
import type { Prober } from './prober.ts'
import { Watching } from './watching.ts'

/** What the executor is built from. */
export interface ExecutorOptions extends Pick<AftermathOptions, 'lastLines' | 'lookAgain'> {
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
  /** Where its package and its own directory are, of an instance that runs from one. @default none */
  readonly packageVariables?: (
    instance: InstanceId,
    definition: ReleaseDefinition,
  ) => Readonly<Record<string, string>>
  /** Opens links to the services used; returns `TUTTI_USES_<SERVICE>` for each. Called at starts and adoptions. */
  readonly linkEnvironment: (uses: readonly string[]) => Promise<Readonly<Record<string, string>>>
}

// Adopted instances are probed before the first observation, lest a healthy one look unready for a moment; one that
// does not answer within this holds the start of the peer up no longer.
const ADOPTION_PROBE_MS = 1000
// Begun in one turn of the event loop, of actions that came together: what a start does before it first waits takes some 30 µs.
const BEGUN_A_TURN = 16

/** The hands of a peer. */
export class Executor implements Hands {
  readonly #options: ExecutorOptions
  readonly #held: HeldInstances
  readonly #watching: Watching
  readonly #aftermath: Aftermath
  readonly #arming: Arming
  /** Actions that are yet to begin, in their order. */
  readonly #unbegun: { readonly held: Held; readonly action: Queued }[] = []

  constructor(options: ExecutorOptions) {
    this.#options = options
    this.#held = new HeldInstances(options.clock)
    this.#watching = new Watching({ ...options, held: this.#held })
    this.#aftermath = new Aftermath({ ...options, held: this.#held })
    this.#arming = new Arming({
      ...options,
      held: this.#held,
      environmentOf: async (held, nonce) => await this.#environmentOf(held, nonce),
    })
  }

  async start(events: HandsEvents): Promise<void> {
    this.#held.tell(events)
    const adopted = await this.#options.driver.start({
      exited: (instance, nonce, exit) => {
        this.#exited(instance, nonce, exit)
      },
      succeeded: (instance, nonce, exit, heir) => {
        this.#succeeded(instance, nonce, exit, heir)
      },
    })
    await Promise.all(adopted.map(async (found) => await this.#adopt(found)))
    const firstProbes = this.#held.all().flatMap(({ probing }) => probing?.first ?? [])
    if (firstProbes.length === 0) return
    const enough = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(ADOPTION_PROBE_MS, enough.resolve)
    await Promise.race([Promise.all(firstProbes), enough.promise])
    cancel()
  }

  observe(): readonly LocalInstance[] {
    return this.#held.observe()
  }

  execute(actions: readonly Action[]): void {
    if (this.#held.isClosed) return
    this.#dropUnleased(actions)
    // Otherwise they are being begun already.
    const isFirst = this.#unbegun.length === 0
    for (const action of actions) {
      const held = this.#held.get(action.instance) ?? this.#create(action)
      if (held === null) continue
      // Not in line with the others: nothing is to wait for what is prepared.
      if (action.kind === 'arm') this.#arming.want(held, action.terms)
      else if (action.kind === 'disarm') void this.#arming.drop(held)
      if (action.kind === 'arm' || action.kind === 'disarm') continue
      if (held.running?.kind === action.kind || held.next?.kind === action.kind) continue
      if (held.running !== null) held.next = action
      // Under a lease at once: it may be given back before the next turn.
      else if ('lease' in action) void this.#perform(held, action)
      else {
        held.running = action
        this.#unbegun.push({ held, action })
      }
    }
    if (isFirst) this.#beginSome()
  }

  /** Some now and the others in turns to come, so that five hundred starts are not one piece of work. */
  #beginSome(): void {
    for (const { held, action } of this.#unbegun.splice(0, BEGUN_A_TURN)) void this.#perform(held, action)
    if (this.#unbegun.length > 0) this.#options.clock.after(0, () => this.#beginSome())
  }

  extend(slot: SlotId, lease: HeldLease): void {
    if (this.#held.isClosed) return
    for (const held of this.#held.all()) {
      if (held.facts.slot !== slot) continue
      // One that is being prepared is spawned under the newest lease; its token is the one that its record has.
      if (held.lease !== null) held.lease = lease
      this.#options.driver.extend(held.facts.id, lease)
    }
  }

  async close(): Promise<void> {
    this.#held.close()
    for (const held of this.#held.all()) {
      this.#watching.end(held)
      held.cancelLook()
    }
    await this.#options.driver.close()
  }

  /** A run that waits for its turn begins under its lease only while plans ask for it: after that the lease is given back. */
  #dropUnleased(actions: readonly Action[]): void {
    for (const held of this.#held.all()) {
      const { next, facts } = held
      if (next === null || !('lease' in next)) continue
      if (!actions.some(({ instance, kind }) => instance === facts.id && kind === next.kind)) held.next = null
    }
  }

  /** An instance enters the facts with its first start, before anything else happens. */
  #create(action: Action): Held | null {
    if (action.kind !== 'start') return null
    return this.#held.hold(factsOfStart(action, this.#options.clock.now()))
  }

  async #perform(held: Held, first: Queued): Promise<void> {
    for (let action: Queued | null = first; action !== null && !this.#held.isClosed;) {
      held.running = action
      try {
        await this.#do(held, action)
      } catch (error) {
        this.#options.log.log('error', `${action.kind} of ${action.instance} failed`, { error })
      }
      // Forgotten: what was told meanwhile is about an instance of its own, and nobody would see what this one does.
      if (this.#held.get(action.instance) !== held) break
      action = held.next
      held.next = null
    }
    held.running = null
    const { next } = held
    held.next = null
    if (next !== null) this.execute([next])
  }

  async #do(held: Held, action: Queued): Promise<void> {
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
    held.lease = action.lease ?? null
    held.heirNonce = mintNonce()
    held.cancelLook()
    this.#held.set(held, {
      phase: 'preparing',
      pid: null,
      exit: null,
      refused: false,
      fence: action.lease?.token,
      startedAtMs: clock.now(),
      ...(action.stableRunMs === undefined ? {} : { stableRunMs: action.stableRunMs }),
      probe: TALLY_EMPTY,
      liveness: TALLY_EMPTY,
      heir: undefined,
      // Wanted again: what it drained for is over.
      ...(start === null ? {} : { draining: false, drainingSinceMs: null }),
      ...(start === null ? {} : { cpusMilli: start.cpusMilli, memoryBytes: start.memoryBytes }),
    })
    this.#held.announce(false)
    try {
      const { id, definition } = before
      this.#held.set(held, { ports: await ports.allocate(id, definition.ports, before.ports) })
      const environment = await this.#environmentOf(held, held.nonce)
      const record = { ...recordOf(held.facts, held.nonce, held.heirNonce), runs: before.runs + 1 }
      const { pid, shortfall } = await driver.spawn({
        record,
        environment,
        lease: held.lease ?? undefined,
      })
      this.#held.set(held, { runs: record.runs, shortfall })
      // It may have ended already; then its exit was told, and that is the newer fact.
      if (held.facts.phase !== 'preparing') return
      this.#held.set(held, { phase: 'running', pid })
      this.#watching.begin(held, environment, 0)
    } catch (error) {
      ports.release(before.id)
      // The driver calls unknown what is not there: nothing that a second try would mend.
      const refused = error instanceof TuttiError && error.code === 'unknown'
      const failuresInARow = before.failuresInARow + 1
      this.#held.set(held, { phase: 'broken', error: messageOf(error), refused, failuresInARow })
      if (refused) this.#aftermath.lookLater(held)
    }
    this.#held.announce(true)
  }

  async #drain(held: Held, draining: boolean): Promise<void> {
    this.#held.set(held, { draining, drainingSinceMs: draining ? this.#options.clock.now() : null })
    this.#held.announce(true)
    // One that has begun by now drains as well; its record is the one that is written then.
    if (draining) await this.#arming.drop(held)
    await this.#options.driver.update(recordOf(held.facts, held.nonce, held.heirNonce))
  }

  async #stop(held: Held, action: StopAction): Promise<void> {
    held.failure = action.failure ?? null
    this.#held.set(held, { phase: 'stopping' })
    this.#watching.end(held)
    this.#held.announce(true)
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
    this.#held.drop(id)
    this.#held.announce(false)
  }

  #exited(instance: InstanceId, nonce: string, exit: Exit): void {
    const held = this.#held.get(instance)
    if (this.#held.isClosed || held === undefined || held.nonce !== nonce || held.facts.phase === 'exited')
      return
    const { phase, startedAtMs, failuresInARow, stableRunMs } = held.facts
    const { failure } = held
    const atMs = this.#options.clock.now()
    const end = { ...exit, atMs, ...(failure === null ? {} : { failure }) }
    held.failure = null
    this.#watching.end(held)
    // A port of what is gone may be another's, as a fixed one of a new release must; a restart asks for it again.
    this.#options.ports.release(instance)
    this.#held.set(held, {
      phase: 'exited',
      pid: null,
      exit: end,
      error: null,
      lastExit: end,
      heir: undefined,
      // A stop is no failure, whatever the program makes of it, unless it was made for one.
      failuresInARow:
        phase === 'stopping' && failure === null
          ? failuresInARow
          : failuresAfter(failuresInARow, atMs - startedAtMs, stableRunMs),
    })
    this.#held.announce(true)
    if (phase !== 'stopping' || failure !== null) void this.#aftermath.keepEvidence(held)
  }

  /** The run is over, and the next one is on already: what a restart does, but for the start. */
  #succeeded(instance: InstanceId, nonce: string, exit: Exit, heir: Successor): void {
    const held = this.#held.get(instance)
    if (this.#held.isClosed || held?.nonce !== nonce) return
    const { clock, driver, log, mintNonce } = this.#options
    held.nonce = heir.nonce
    held.heirNonce = mintNonce()
    this.#watching.end(held)
    this.#held.set(held, factsOfSuccession(held.facts, exit, heir.pid, clock.now()))
    this.#held.announce(true)
    // Where a stop is under way it ends this run as well.
    if (held.facts.phase === 'running') this.#watching.begin(held, held.heirEnvironment, 0)
    void this.#aftermath.keepEvidence(held)
    driver.update(recordOf(held.facts, held.nonce, held.heirNonce)).catch((error: unknown) => {
      log.log('error', `the record of ${instance} could not be written`, { error })
    })
  }

  async #adopt(found: Adopted): Promise<void> {
    const { record, pid, ageMs = 0 } = found
    const { instance } = record
    const facts = factsOfAdopted(found, this.#options.clock.now())
    const held = this.#held.hold(facts, record.nonce, record.heir ?? this.#options.mintNonce())
    if (pid === null || facts.failuresInARow > 0) void this.#aftermath.keepEvidence(held)
    if (pid === null) return
    this.#options.ports.hold(instance, record.ports)
    let environment: Readonly<Record<string, string>> = {}
    try {
      environment = await this.#environmentOf(held, held.nonce)
    } catch (error) {
      this.#options.log.log('warn', `the links of ${instance} could not be opened again`, { error })
    }
    // A millisecond at least: an age of 0 would be a fresh start, which is given time before it is asked.
    this.#watching.begin(held, environment, Math.max(1, ageMs))
  }

  async #environmentOf(held: Held, nonce: string): Promise<Readonly<Record<string, string>>> {
    const { id, slot, service, release, definition, ports } = held.facts
    const { peer, linkEnvironment, packageVariables } = this.#options
    const links = definition.uses.length === 0 ? {} : await linkEnvironment(definition.uses)
    const packaged = packageVariables?.(id, definition) ?? {}
    return instanceEnvironment({
      slot,
      service,
      release,
      definition,
      ports,
      links: { ...links, ...packaged },
      nonce,
      fence: held.facts.fence,
      peer: peer.name,
      peerEnvironment: peer.environment,
    })
  }
}
