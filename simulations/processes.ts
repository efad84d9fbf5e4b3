// Scripted processes for simulations: a machine whose programs do what their command words say, on the simulator's
// clock. The machine outlives its driver and hands (hands.ts), as real processes outlive their peer. Nothing here is
// random, and nothing is awaited but what the port demands.
//
// Command words, in any order: `ready=200ms` answers probes after that long (at once without it; `ready=never` never),
// `exit=3@1s` exits with 3 after a second, `unwell=5s..8s` fails probes for that time, `stop=300ms` takes that long to
// obey a stop, `deaf` ignores it until SIGKILL, `broken` cannot be spawned, `hungry=1s` is killed for want of memory after
// a second, `hangs=5s` fails its liveness from five seconds on, `forks` leaves a child in its group that outlives it. Others are ignored.

import { assert, defined } from '../lib/assert.ts'
import { TuttiError } from '../lib/errors.ts'
import type { InstanceId } from '../lib/ids.ts'
import { sortedEntries } from '../lib/order.ts'
import { parseDuration, type Clock } from '../lib/time.ts'
import { KILL_MS, type HeldLease } from '../node/plan/lease/terms.ts'
import type {
  Adopted,
  Driver,
  DriverEvents,
  Exit,
  HeirRequest,
  InstanceRecord,
  Spawned,
  SpawnRequest,
} from '../node/ports.ts'

/** What one program does. */
export interface Script {
  /** After the start, milliseconds; null: never. */
  readonly readyAfterMs: number | null
  readonly exit: { readonly code: number; readonly afterMs: number } | null
  /** Killed for want of memory so long after the start, milliseconds; null: never. */
  readonly hungryAfterMs: number | null
  /** Probes fail from `fromMs` to `toMs` after the start. */
  readonly unwell: { readonly fromMs: number; readonly toMs: number } | null
  /** Its liveness fails from then on, milliseconds after the start; null: never. */
  readonly hangsAfterMs: number | null
  /** How long it takes to obey a stop; null: it ignores stops. */
  readonly stopMs: number | null
  readonly broken: boolean
  readonly forks: boolean
}

/** The script that a command's words are. @throws TuttiError `invalid` on a malformed duration. */
export const scriptOf = (command: readonly string[]): Script => {
  const valueOf = (name: string): string | null =>
    command.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? null
  const ready = valueOf('ready')
  const [code = '0', after = '0'] = (valueOf('exit') ?? '').split('@')
  const [from = '0', to = '0'] = (valueOf('unwell') ?? '').split('..')
  return {
    readyAfterMs: ready === 'never' ? null : parseDuration(ready ?? '0'),
    exit: valueOf('exit') === null ? null : { code: Number(code), afterMs: parseDuration(after) },
    hungryAfterMs: valueOf('hungry') === null ? null : parseDuration(valueOf('hungry') ?? ''),
    unwell: valueOf('unwell') === null ? null : { fromMs: parseDuration(from), toMs: parseDuration(to) },
    hangsAfterMs: valueOf('hangs') === null ? null : parseDuration(valueOf('hangs') ?? ''),
    stopMs: command.includes('deaf') ? null : parseDuration(valueOf('stop') ?? '0'),
    broken: command.includes('broken'),
    forks: command.includes('forks'),
  }
}

/** One scripted process, living or ended. */
export interface ScriptedProcess {
  readonly record: InstanceRecord
  readonly pid: number
  readonly startedAtMs: number
  readonly script: Script
  readonly exit: Exit | null
  /** On the machine's clock; null: it lives. */
  readonly endedAtMs: number | null
  /** The run that it followed as its heir; null: a peer started it. */
  readonly heirOf: { readonly exit: Exit; readonly ranMs: number; readonly endedAtMs: number } | null
}

/** What a machine needs to know to let a successor follow by itself. */
export type ScriptedHeir = Pick<HeirRequest, 'record' | 'condition' | 'notBeforeMs'>

/** Hears of an end, and of the successor that has followed at once; null: none has. */
export type EndListener = (process: ScriptedProcess, successor: ScriptedProcess | null) => void

interface Entry {
  process: ScriptedProcess
  /** When its watchdog ends it, on the machine's clock; null: it has none. */
  deadlineMs: number | null
  /** As a peer that starts would find it on the disk. */
  onDisk: InstanceRecord
  /** `notBeforeMs` is on the machine's clock. */
  heir: ScriptedHeir | null
  cancels: (() => void)[]
  gone: PromiseWithResolvers<void>
}

/** How often a watchdog looks at the clock, as watchdog.sh does. */
const WATCH_MS = 500
/** From a watchdog's decision to the end: nearly all of what the terms allow for it. */
const KILL_LASTS_MS = KILL_MS * 0.95

/** The processes of one simulated machine. They live on while no driver is attached. */
export class ScriptedMachine {
  readonly clock: Clock
  readonly #entries = new Map<InstanceId, Entry>()
  /** By instance; null: to be sorted anew. */
  #sorted: readonly Entry[] | null = null
  /** The same as they are now, for checkers, which ask many times between two changes; null: to be listed anew. */
  #listed: readonly ScriptedProcess[] | null = null
  /** Nonces of groups whose leader has ended and whose child has not. */
  readonly #strays = new Map<string, InstanceId>()
  #listener: EndListener | null = null
  #pid = 1000

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** All processes on record, sorted by instance. */
  processes(): readonly ScriptedProcess[] {
    this.#sorted ??= sortedEntries(this.#entries).map(([, entry]) => entry)
    this.#listed ??= this.#sorted.map(({ process }) => process)
    return this.#listed
  }

  #alter(entry: Entry, change: Partial<ScriptedProcess>): void {
    entry.process = { ...entry.process, ...change }
    this.#listed = null
  }

  /** What a peer that starts finds: processes that a record names. It takes back what an earlier one has prepared. */
  take(): readonly ScriptedProcess[] {
    for (const entry of this.#entries.values()) entry.heir = null
    const named = ({ process, onDisk }: Entry): boolean =>
      process.record.nonce === onDisk.nonce || process.record.nonce === onDisk.heir
    return this.processes().filter(({ record }) =>
      named(defined(this.#entries.get(record.instance), 'an entry')),
    )
  }

  find(instance: InstanceId): ScriptedProcess | null {
    return this.#entries.get(instance)?.process ?? null
  }

  /** Who hears of starts: a checker. */
  onSpawn: (record: InstanceRecord) => void = () => undefined
  /** And of renewals that a run is told of, with their tokens. */
  onExtend: (record: InstanceRecord, token: number) => void = () => undefined

  /** Who hears of exits: one driver at a time; null: nobody. */
  listen(listener: EndListener | null): void {
    this.#listener = listener
  }

  /** Instances of which a child lives on although their leader has ended. */
  strays(): readonly InstanceId[] {
    return [...this.#strays.values()].sort()
  }

  /** Ends whatever of the group has outlived its leader, as a driver does before it reports the exit. */
  endGroup(nonce: string): void {
    this.#strays.delete(nonce)
  }

  /** Whether a probe of it would succeed now. */
  isWell(instance: InstanceId): boolean {
    const process = this.find(instance)
    if (process === null || process.exit !== null) return false
    const ageMs = this.clock.now() - process.startedAtMs
    const { readyAfterMs, unwell } = process.script
    const ready = readyAfterMs !== null && ageMs >= readyAfterMs
    return ready && !(unwell !== null && ageMs >= unwell.fromMs && ageMs < unwell.toMs)
  }

  /** @throws TuttiError `unknown` when the script says that it cannot be spawned. */
  spawn(record: InstanceRecord, lease?: HeldLease): ScriptedProcess {
    const script = scriptOf(record.definition.command)
    if (script.broken) {
      throw new TuttiError('unknown', `command '${record.definition.command[0] ?? ''}' is not on the PATH`)
    }
    const present = this.#entries.get(record.instance)
    assert(present === undefined || present.process.exit !== null, `${record.instance} runs once`)
    this.#pid += 1
    return this.#begin(record, record, this.#pid, null, lease)
  }

  #begin(
    record: InstanceRecord,
    onDisk: InstanceRecord,
    pid: number,
    heirOf: ScriptedProcess['heirOf'],
    lease?: HeldLease,
  ): ScriptedProcess {
    const script = scriptOf(record.definition.command)
    const startedAtMs = this.clock.now()
    const process: ScriptedProcess = { record, pid, startedAtMs, script, exit: null, endedAtMs: null, heirOf }
    const deadlineMs = lease?.untilMs ?? null
    const entry: Entry = {
      process,
      onDisk,
      heir: null,
      deadlineMs,
      cancels: [],
      gone: Promise.withResolvers(),
    }
    this.#entries.set(record.instance, entry)
    this.#sorted = null
    this.#listed = null
    if (deadlineMs !== null) this.#guard(entry)
    this.onSpawn(record)
    if (script.exit !== null) {
      const { code, afterMs } = script.exit
      entry.cancels.push(this.clock.after(afterMs, () => this.#end(entry, { code, signal: null })))
    }
    if (script.hungryAfterMs !== null) {
      const exit = { code: null, signal: 'SIGKILL', oomKilled: true }
      entry.cancels.push(this.clock.after(script.hungryAfterMs, () => this.#end(entry, exit)))
    }
    return process
  }

  /** Its lease was renewed; too late once the watchdog has decided. */
  extend(instance: InstanceId, lease: HeldLease): void {
    const entry = this.#entries.get(instance)
    if (entry === undefined || entry.deadlineMs === null || entry.deadlineMs <= this.clock.now()) return
    entry.deadlineMs = Math.max(entry.deadlineMs, lease.untilMs)
    if (entry.process.exit === null) this.onExtend(entry.process.record, lease.token)
  }

  /** Prepares the successor of a living run, its record first. False: there is no such run. */
  arm({ record, condition, notBeforeMs }: ScriptedHeir): boolean {
    const entry = this.#entries.get(record.instance)
    if (entry?.process.exit !== null || entry.process.record.nonce !== record.nonce) return false
    entry.onDisk = record
    entry.heir = { record, condition, notBeforeMs: this.clock.now() + notBeforeMs }
    return true
  }

  hasHeir(instance: InstanceId): boolean {
    return (this.#entries.get(instance)?.heir ?? null) !== null
  }

  /** Takes it back. An end and its successor are one step here, so it never comes too late. */
  disarm(instance: InstanceId): void {
    const entry = this.#entries.get(instance)
    if (entry !== undefined) entry.heir = null
  }

  update(record: InstanceRecord): void {
    const entry = this.#entries.get(record.instance)
    if (entry === undefined) return
    this.#alter(entry, { record })
    entry.onDisk = record
  }

  /** Ends a process as its script obeys, and for certain after the grace. */
  async stop(instance: InstanceId, signal: string, graceMs: number): Promise<void> {
    const entry = this.#entries.get(instance)
    if (entry === undefined || entry.process.exit !== null) return
    this.disarm(instance)
    const { stopMs } = entry.process.script
    if (signal === 'SIGKILL') this.#end(entry, { code: null, signal: 'SIGKILL' })
    else {
      if (stopMs !== null)
        entry.cancels.push(this.clock.after(stopMs, () => this.#end(entry, { code: null, signal })))
      entry.cancels.push(this.clock.after(graceMs, () => this.#end(entry, { code: null, signal: 'SIGKILL' })))
    }
    await entry.gone.promise
  }

  /** A fault: the process dies by itself, or somebody kills it. */
  kill(instance: InstanceId, signal = 'SIGKILL'): void {
    const entry = this.#entries.get(instance)
    if (entry !== undefined) this.#end(entry, { code: null, signal })
  }

  /** A fault: the machine loses power; every process is gone, the records stay. */
  reboot(): void {
    this.#strays.clear()
    for (const entry of this.#entries.values()) {
      if (entry.process.exit !== null) continue
      for (const cancel of entry.cancels.splice(0)) cancel()
      const exit = { code: null, signal: null }
      this.#alter(entry, { exit, endedAtMs: this.clock.now() })
      entry.heir = null
    }
  }

  forget(instance: InstanceId): void {
    const entry = this.#entries.get(instance)
    assert(entry === undefined || entry.process.exit !== null, `${instance} is forgotten after its exit`)
    this.#entries.delete(instance)
    this.#sorted = null
    this.#listed = null
  }

  /** A process of its own, which no crash or freeze of the peer concerns. */
  #guard(entry: Entry): void {
    const { nonce } = entry.process.record
    const look = (): void => {
      if (entry.process.exit !== null && !this.#strays.has(nonce)) return
      const leftMs = (entry.deadlineMs ?? Infinity) - this.clock.now()
      if (leftMs > 0) {
        this.clock.after(Math.min(WATCH_MS, leftMs), look)
        return
      }
      this.clock.after(KILL_LASTS_MS, () => {
        this.#end(entry, { code: null, signal: 'SIGKILL' })
        this.endGroup(nonce)
      })
    }
    look()
  }

  #end(entry: Entry, exit: Exit): void {
    if (entry.process.exit !== null) return
    for (const cancel of entry.cancels.splice(0)) cancel()
    this.#alter(entry, { exit, endedAtMs: this.clock.now() })
    const { record, script } = entry.process
    if (script.forks) this.#strays.set(record.nonce, record.instance)
    const successor = this.#succeed(entry, exit)
    this.#listener?.(entry.process, successor)
    entry.gone.resolve()
  }

  /** What the shim does last: the heir, where its terms are met and nothing of the run is left; null: there is none. */
  #succeed({ process, onDisk, heir }: Entry, exit: Exit): ScriptedProcess | null {
    const nowMs = this.clock.now()
    if (heir === null || process.script.forks || nowMs < heir.notBeforeMs) return null
    if (heir.condition === 'on-failure' && exit.code === 0) return null
    const { heir: nonce = '', ...rest } = heir.record
    const record = { ...rest, nonce, runs: heir.record.runs + 1 }
    const before = { exit, ranMs: nowMs - process.startedAtMs, endedAtMs: nowMs }
    return this.#begin(record, onDisk, process.pid, before)
  }
}

/** What a driver or hands know of a process that they find. */
export const adoptedOf = (
  { record, pid, exit, startedAtMs, endedAtMs, heirOf }: ScriptedProcess,
  nowMs: number,
): Adopted => ({
  record,
  ...(exit === null
    ? { pid, exit, ageMs: nowMs - startedAtMs }
    : { pid: null, exit, endedAgoMs: nowMs - (endedAtMs ?? nowMs) }),
  ...(heirOf === null
    ? {}
    : { inherited: { exit: heirOf.exit, ranMs: heirOf.ranMs, endedAgoMs: nowMs - heirOf.endedAtMs } }),
})

/** The mock driver: the machine behind the Driver port. Contract: test/contracts/driver.ts. */
export class ScriptedDriver implements Driver {
  readonly #machine: ScriptedMachine
  #attached = false

  constructor(machine: ScriptedMachine) {
    this.#machine = machine
  }

  async start(events: DriverEvents): Promise<readonly Adopted[]> {
    this.#attached = true
    this.#machine.listen(({ record, exit }, successor) => {
      this.#machine.endGroup(record.nonce)
      if (exit === null) return
      const { instance, nonce } = record
      if (successor === null) events.exited(instance, nonce, exit)
      else events.succeeded(instance, nonce, exit, { nonce: successor.record.nonce, pid: successor.pid })
    })
    const nowMs = this.#machine.clock.now()
    return this.#machine.take().map((process) => {
      if (process.exit !== null) this.#machine.endGroup(process.record.nonce)
      return adoptedOf(process, nowMs)
    })
  }

  async spawn({ record, lease }: SpawnRequest): Promise<Spawned> {
    return { pid: this.#machine.spawn(record, lease).pid }
  }

  extend(instance: InstanceId, lease: HeldLease): void {
    this.#machine.extend(instance, lease)
  }

  async arm(request: HeirRequest): Promise<boolean> {
    return this.#machine.arm(request)
  }

  async disarm(instance: InstanceId): Promise<boolean> {
    this.#machine.disarm(instance)
    return true
  }

  async update(record: InstanceRecord): Promise<void> {
    this.#machine.update(record)
  }

  async stop(instance: InstanceId, signal: string, graceMs: number): Promise<void> {
    await this.#machine.stop(instance, signal, graceMs)
  }

  async forget(instance: InstanceId): Promise<void> {
    this.#machine.forget(instance)
  }

  async close(): Promise<void> {
    if (this.#attached) this.#machine.listen(null)
    this.#attached = false
  }
}
