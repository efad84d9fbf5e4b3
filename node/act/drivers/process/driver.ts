// The process driver: instances as plain processes of this machine, each under a shim in a session of its own. A record
// is on disk before anything is spawned (S10); the shim writes its own identity before it starts the program, so there
// is no instant at which a crash of the peer leaves a process that the next peer cannot find. Decides nothing: when to
// start, restart or stop is the plan's; how a run is confined and ended are confinement.ts and run.ts.

import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, defined } from '../../../../lib/assert.ts'
import { asTuttiError, messageOf, TuttiError } from '../../../../lib/errors.ts'
import { Gate } from '../../../../lib/gate.ts'
import type { InstanceId, PackageDigest } from '../../../../lib/ids.ts'
import type { Log } from '../../../../lib/log.ts'
import { compareStrings } from '../../../../lib/order.ts'
import type { Clock } from '../../../../lib/time.ts'
import { EXIT_UNKNOWN } from '../../../plan/facts.ts'
import type {
  Adopted,
  Driver,
  DriverEvents,
  Enterable,
  Entrance,
  InstanceRecord,
  Spawned,
  SpawnRequest,
} from '../../../ports.ts'
import { watchAlive, type AliveWatch } from './alive.ts'
import { Census } from './census.ts'
import { Cgroups, currentLayout, groupNameOf, type RunGroups } from './cgroups/cgroups.ts'
import { oomKillsOf } from './cgroups/group.ts'
import type { CgroupLayout } from './cgroups/layout.ts'
import { checkDirectory, resolveCommand } from './command.ts'
import { confine, confinedText, environmentIn, type Confined } from './confinement.ts'
import { Directories } from './directories.ts'
import { entranceOf } from './entrance.ts'
import { isSignal, shellSpeaks } from './exit.ts'
import { processesByNonce, sweep, type Traces } from './group.ts'
import { ageMsOf, currentBoot, isAlive, nonceOf, parseIdentity, type ProcessIdentity } from './identity.ts'
import { launchScript, RUN_FILES } from './launch.ts'
import { Records, type StoredRecord } from './records.ts'
import { confinedIn, endedAgoMsIn, exitIn, textOf } from './run-folder.ts'
import { endRun, killRun, signalRun, type Run } from './run.ts'
import { directLauncher, SHELL, type Launcher } from './spawner.ts'

/** Where output goes; output/output.ts is it. */
export interface OutputSink {
  /** Makes what the files need to be opened; before the first `begin` of a run. */
  prepare(instance: InstanceId): Promise<void>
  /** The files that an instance's output is appended to. Called again, as running, once the launch has opened them. */
  begin(
    instance: InstanceId,
    process: { readonly isRunning: boolean },
  ): { readonly stdout: string; readonly stderr: string }
  /** The instance's processes are gone: nothing more comes until it begins again. */
  end(instance: InstanceId): void
}

/** What the driver is built from. */
export interface ProcessDriverOptions {
  /** Absolute; the driver's own. Records, run directories and working directories are in it. */
  readonly folder: string
  /** For messages. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Log
  readonly output: OutputSink
  readonly launcher: Launcher
  /** Where a package lies, unpacked. @default nowhere: nothing runs from a package */
  readonly packageDirectory?: (digest: PackageDigest) => string
  /** Where control groups are. @default this machine's, as this process sees it */
  readonly cgroups?: CgroupLayout | undefined
}

/** One launch: all but the launcher. */
interface Launch {
  readonly record: InstanceRecord
  readonly folder: string
  readonly script: string
  readonly confined: Confined
}

// From the request to the shim's first line: 4 ms on a quiet machine; a machine this much slower is not working.
const SPAWN_TIMEOUT_MS = 15_000
// Enough that records share their syncs and every core has a program to load; few enough that what is done for one on the
// event loop comes between other things and not five hundred times in a row.
const SPAWNS_MAX = 32

/** Runs instances as processes. Contract: test/contracts/driver.ts. */
export class ProcessDriver implements Driver, Enterable {
  readonly #options: ProcessDriverOptions
  /** Where instances run. */
  readonly directories: Directories
  readonly #records: Records
  readonly #shim = fileURLToPath(new URL('shim.sh', import.meta.url))
  readonly #boot = currentBoot()
  readonly #census: Census
  readonly #gate = new Gate(SPAWNS_MAX)
  readonly #runs = new Map<InstanceId, Run>()
  /** Nonce of each instance's last run, whose directory is kept for its exit status. */
  readonly #last = new Map<InstanceId, string>()
  readonly #cgroups: Cgroups
  #events: DriverEvents = { exited: () => undefined }
  /** Whether the shell says when a signal ended a program. */
  #speaks = false
  #closed = false

  constructor(options: ProcessDriverOptions) {
    assert(resolve(options.folder) === options.folder, 'the folder of a driver is absolute')
    this.#options = options
    this.#census = new Census(options.clock)
    this.directories = new Directories(join(options.folder, 'work'), options.packageDirectory)
    this.#records = new Records(join(options.folder, 'records'))
    mkdirSync(join(options.folder, 'runs'), { recursive: true, mode: 0o700 })
    const { cgroups = currentLayout(), clock, folder, log } = options
    this.#cgroups = Cgroups.open(cgroups, groupNameOf(folder), clock, log)
  }

  async start(events: DriverEvents): Promise<readonly Adopted[]> {
    this.#events = events
    this.#speaks = await shellSpeaks(SHELL)
    const { records, damaged } = await this.#records.readAll()
    for (const name of damaged)
      this.#options.log.log('error', 'a record is damaged; it is set aside and what it names is ended', {
        name,
      })
    const adopted: Adopted[] = []
    const found: Run[] = []
    for (const stored of records) {
      const run = this.#find(stored)
      this.#last.set(stored.record.instance, stored.record.nonce)
      if (run !== null) found.push(run)
      else adopted.push(await this.#ended(stored.record))
    }
    await this.#endLeftovers(new Set(found.map((run) => run.record.nonce)))
    for (const run of found) {
      this.#options.output.begin(run.record.instance, { isRunning: true })
      this.#watch(run)
      adopted.push({
        record: run.record,
        pid: run.shim.pid,
        exit: null,
        ageMs: ageMsOf(run.shim),
        shortfall: run.confined.shortfall,
      })
    }
    return adopted.toSorted((a, b) => compareStrings(a.record.instance, b.record.instance))
  }

  async spawn(request: SpawnRequest): Promise<Spawned> {
    return await this.#gate.pass(async () => await this.#spawn(request))
  }

  async #spawn({ record, environment }: SpawnRequest): Promise<Spawned> {
    const { instance, definition } = record
    assert(!this.#runs.has(instance), `${instance} has no process when it is spawned`)
    const { peer, output } = this.#options
    const workingDirectory = this.directories.workingOf(instance, definition)
    const beside = await this.directories.prepare(instance, definition)
    await output.prepare(instance)
    checkDirectory(workingDirectory, peer)
    const [word = '', ...words] = definition.command
    const path = environment['PATH'] ?? ''
    const program = resolveCommand(word, { directory: workingDirectory, path, peer })

    const confinement = await confine(
      {
        run: record.nonce,
        peer,
        definition,
        workingDirectory,
        ownDirectory: beside.own,
        packageDirectory: beside.package,
        command: [program, ...words],
      },
      this.#cgroups,
    )
    await this.#records.write({ boot: this.#boot, record })
    const lastNonce = this.#last.get(instance)
    this.#last.set(instance, record.nonce)
    const folder = this.#runFolder(record.nonce)
    const { shortfall } = confinement
    if (shortfall !== '') this.#options.log.log('warn', `${instance} ${shortfall}`)
    const script = launchScript({
      shell: SHELL,
      shim: this.#shim,
      runDirectory: folder,
      workingDirectory,
      ...output.begin(instance, { isRunning: false }),
      confined: confinedText(confinement),
      environment: environmentIn(confinement, definition, environment),
      prelude: confinement.prelude,
      command: confinement.command,
    })
    try {
      const run = await this.#launchSafely({ record, folder, script, confined: confinement })
      output.begin(instance, { isRunning: true })
      this.#watch(run)
      // Nobody asks for it since the record names another run; and a restart does not wait for it.
      await this.#dropRun(lastNonce)
      return { pid: run.shim.pid, shortfall }
    } catch (error) {
      output.end(instance)
      throw error
    }
  }

  enter(instance: InstanceId): Entrance {
    const run = this.#runs.get(instance)
    const { peer } = this.#options
    if (run === undefined) throw new TuttiError('conflict', `${instance} does not run on peer '${peer}'`)
    return entranceOf(run, this.directories.workingOf(instance, run.record.definition), peer)
  }

  async update(record: InstanceRecord): Promise<void> {
    const run = this.#runs.get(record.instance)
    if (run === undefined) return
    assert(run.record.nonce === record.nonce, `an update of ${record.instance} is of its present run`)
    await this.#records.write({ boot: this.#boot, record })
  }

  async stop(instance: InstanceId, signal: string, graceMs: number): Promise<void> {
    const run = this.#runs.get(instance)
    if (run === undefined) return
    if (run.stopUntilMs !== null) {
      await run.gone.promise
      return
    }
    const { clock } = this.#options
    const untilMs = clock.now() + graceMs
    run.stopUntilMs = untilMs
    assert(isSignal(signal), `${signal} is a signal`)
    const kill = (): void => {
      killRun(run, clock).catch((error: unknown) => {
        this.#options.log.log('error', 'an instance could not be killed', { instance, error })
      })
    }
    if (signal === 'SIGKILL') kill()
    const cancel = clock.after(graceMs, kill)
    if (signal !== 'SIGKILL') await signalRun(run, signal, clock, untilMs)
    await run.gone.promise
    cancel()
  }

  async forget(instance: InstanceId): Promise<void> {
    assert(!this.#runs.has(instance), `${instance} is forgotten after its exit`)
    await this.#records.remove(instance)
    await this.#dropLastRun(instance)
    await this.directories.remove(instance)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const run of this.#runs.values()) run.alive.close()
    this.#runs.clear()
    this.#options.launcher.close()
    this.#cgroups.close()
  }

  /** The living run of a record; null: it is over, or it cannot be proven to be this one. */
  #find({ boot, record }: StoredRecord): Run | null {
    const folder = this.#runFolder(record.nonce)
    if (boot !== this.#boot) return null
    let alive: AliveWatch
    try {
      // Watched before it is looked at: an end after the look is then an event.
      alive = watchAlive(join(folder, RUN_FILES.alive))
    } catch {
      return null
    }
    const shim = parseIdentity(textOf(join(folder, RUN_FILES.pid)))
    if (shim === null || !isAlive(shim) || nonceOf(shim.pid) !== record.nonce) {
      alive.close()
      return null
    }
    return this.#newRun({ record, folder, confined: confinedIn(folder) }, shim, alive)
  }

  /** What is known of a run that ended while nobody watched. Before its groups, and their counts, are swept. */
  async #ended(record: InstanceRecord): Promise<Adopted> {
    const folder = this.#runFolder(record.nonce)
    const { memory } = confinedIn(folder).groups
    const exit = exitIn(folder, this.#speaks, memory === null ? 0 : await oomKillsOf(memory))
    const endedAgoMs = endedAgoMsIn(folder, this.#options.clock.wall())
    const known = { record, pid: null, exit: exit ?? EXIT_UNKNOWN }
    return endedAgoMs === null ? known : { ...known, endedAgoMs }
  }

  #newRun(
    { record, folder, confined }: Omit<Launch, 'script'>,
    shim: ProcessIdentity,
    alive: AliveWatch,
  ): Run {
    const gone = Promise.withResolvers<void>()
    return { record, folder, confined, shim, alive, gone, stopUntilMs: null, killed: false }
  }

  /**
   * Ends every process of a run directory that was not adopted, and drops the directories that no record names. A run
   * without a known pid is fenced first: its shim cannot start the program once its directory has another name.
   */
  async #endLeftovers(adopted: ReadonlySet<string>): Promise<void> {
    const kept = new Set(this.#last.values())
    const over: Traces[] = []
    const groups: RunGroups[] = []
    for (const name of readdirSync(join(this.#options.folder, 'runs')).toSorted()) {
      const nonce = name.replace(/\..*$/, '')
      if (adopted.has(nonce)) continue
      const folder = join(this.#options.folder, 'runs', name)
      if (textOf(join(folder, RUN_FILES.pid)) === '' && name === nonce) this.#fence(nonce)
      over.push({ nonce, shim: this.#identityOf(nonce), watched: false })
      groups.push(confinedIn(folder).groups)
      if (!kept.has(nonce) || name !== nonce) rmSync(folder, { recursive: true, force: true })
    }
    // Also those that lie elsewhere, since this peer was started from another group of its own than the last one.
    for (const each of groups) await this.#cgroups.remove(each)
    await this.#cgroups.sweep(adopted)
    if (over.length === 0) return
    // One look at the machine for all; a sweep of its own only for runs that have something to end.
    const marked = processesByNonce()
    for (const traces of over) {
      if (!marked.has(traces.nonce)) continue
      this.#options.log.log('warn', 'processes of a run that cannot be adopted are ended', {
        nonce: traces.nonce,
      })
      await sweep(traces, this.#options.clock)
    }
  }

  #identityOf(nonce: string): ProcessIdentity | null {
    const folder = this.#runFolder(nonce)
    return (
      parseIdentity(textOf(join(folder, RUN_FILES.pid))) ??
      parseIdentity(textOf(join(`${folder}.fenced`, RUN_FILES.pid)))
    )
  }

  #fence(nonce: string): void {
    const folder = this.#runFolder(nonce)
    rmSync(`${folder}.fenced`, { recursive: true, force: true })
    try {
      renameSync(folder, `${folder}.fenced`)
    } catch (error) {
      this.#options.log.log('debug', 'nothing to fence', { nonce, error: messageOf(error) })
    }
  }

  /** One try with the launcher, one by a direct fork: a launcher that failed may or may not have launched. */
  async #launchSafely(launch: Launch): Promise<Run> {
    const { launcher, log } = this.#options
    try {
      return await this.#launch(launcher, launch)
    } catch (error) {
      await this.#giveUp(launch)
      if (error instanceof TuttiError && error.code !== 'internal') throw error
      log.log('warn', 'a launch failed; it is tried once more by a fork of the peer itself', { error })
    }
    try {
      await this.#cgroups.create(launch.record.nonce, launch.record.definition)
      return await this.#launch(directLauncher, launch)
    } catch (error) {
      await this.#giveUp(launch)
      throw asTuttiError(error)
    }
  }

  async #launch(launcher: Launcher, launch: Launch): Promise<Run> {
    const { record, folder, script } = launch
    await mkdir(folder, { mode: 0o700 })
    await launcher.prepare(folder)
    const alive = watchAlive(join(folder, RUN_FILES.alive))
    const late = Promise.withResolvers<never>()
    const cancel = this.#options.clock.after(SPAWN_TIMEOUT_MS, () => {
      late.reject(new TuttiError('internal', `${record.instance} was not spawned in time`))
    })
    try {
      const started = launcher.launch(folder, script).then(async () => await alive.told)
      const told = await Promise.race([started, late.promise])
      const shim = parseIdentity(told ?? '')
      if (shim === null) {
        throw new TuttiError(
          'refused',
          `${record.instance} could not be started; the last lines of its output say why`,
        )
      }
      return this.#newRun(launch, shim, alive)
    } catch (error) {
      alive.close()
      throw error
    } finally {
      cancel()
    }
  }

  /** After it no process of the run exists, and none will. */
  async #giveUp({ record, confined }: Launch): Promise<void> {
    const { nonce } = record
    this.#fence(nonce)
    await this.#cgroups.remove(confined.groups)
    await sweep({ nonce, shim: this.#identityOf(nonce), watched: false }, this.#options.clock)
    await rm(`${this.#runFolder(nonce)}.fenced`, { recursive: true, force: true })
  }

  #watch(run: Run): void {
    this.#runs.set(run.record.instance, run)
    void run.alive.ended.then(async () => {
      await this.#finish(run)
    })
  }

  async #finish(run: Run): Promise<void> {
    const { clock, log, output } = this.#options
    const { instance, nonce } = run.record
    let oomKills = 0
    try {
      oomKills = await endRun(run, clock, this.#cgroups, this.#census)
    } catch (error) {
      log.log('error', 'what an instance left could not be ended', { instance, error })
    }
    if (this.#closed) return
    const told = exitIn(run.folder, this.#speaks, run.killed ? 0 : oomKills)
    this.#runs.delete(instance)
    output.end(instance)
    this.#events.exited(
      instance,
      nonce,
      told ?? (run.killed ? { code: null, signal: 'SIGKILL' } : EXIT_UNKNOWN),
    )
    run.gone.resolve()
  }

  async #dropLastRun(instance: InstanceId): Promise<void> {
    const nonce = this.#last.get(instance)
    this.#last.delete(instance)
    await this.#dropRun(nonce)
  }

  async #dropRun(nonce: string | undefined): Promise<void> {
    if (nonce === undefined) return
    const folder = this.#runFolder(nonce)
    for (const path of [folder, `${folder}.fenced`]) await rm(path, { recursive: true, force: true })
  }

  #runFolder(nonce: string): string {
    return join(this.#options.folder, 'runs', defined(/^[A-Za-z0-9_-]+$/.exec(nonce)?.[0], 'a plain nonce'))
  }
}
