// The process driver: instances as plain processes of this machine, each under a shim in a session of its own. A record
// is on disk before anything is spawned (S10); the shim writes its own identity before it starts the program, so there
// is no instant at which a crash of the peer leaves a process that the next peer cannot find. Decides nothing: when to
// start, restart or stop is the plan's; how a run is confined and ended are confinement.ts and run.ts.

import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert } from '../../../../lib/assert.ts'
import { TuttiError } from '../../../../lib/errors.ts'
import { Gate } from '../../../../lib/gate.ts'
import type { InstanceId } from '../../../../lib/ids.ts'
import { compareStrings } from '../../../../lib/order.ts'
import { EXIT_UNKNOWN } from '../../../plan/facts.ts'
import type { HeldLease } from '../../../plan/lease/terms.ts'
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
import { endedRun, endLeftovers, findRun } from './adoption.ts'
import { Census } from './census.ts'
import { Cgroups, currentLayout, groupNameOf } from './cgroups/cgroups.ts'
import { checkDirectory, resolveCommand } from './command.ts'
import { confine, confinedText, environmentIn, type Confinement } from './confinement.ts'
import { Directories } from './directories.ts'
import type { ProcessDriverOptions } from './driver-options.ts'
import { entranceOf } from './entrance.ts'
import { isSignal, shellSpeaks } from './exit.ts'
import { ageMsOf, currentBoot } from './identity.ts'
import { launchScript, RUN_FILES } from './launch.ts'
import { launchSafely, preparePlaces, type LaunchingOptions } from './launching.ts'
import { RunLeases, unlessOver, watchdogLine } from './leases.ts'
import { Records } from './records.ts'
import { exitIn } from './run-folder.ts'
import { RunFolders } from './run-folders.ts'
import { endRun, killRun, signalRun, type Run } from './run.ts'
import { SHELL } from './spawner.ts'

// Enough that records share their syncs and every core has a program to load; few enough that what is done for one on the
// event loop comes between other things and not five hundred times in a row.
const SPAWNS_MAX = 64

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
  readonly #leases: RunLeases
  readonly #folders: RunFolders
  readonly #launching: LaunchingOptions
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
    const { cgroups = currentLayout(), clock, folder, launcher, log } = options
    // Its parts are made with whatever mode the umask leaves; what is in them is the peer's own.
    mkdirSync(join(folder, 'work'), { recursive: true, mode: 0o700 })
    this.#leases = new RunLeases(clock)
    this.#folders = new RunFolders(join(folder, 'runs'), log)
    this.#cgroups = Cgroups.open(cgroups, groupNameOf(folder), clock, log)
    this.#launching = { launcher, folders: this.#folders, cgroups: this.#cgroups, clock, log }
  }

  async start(events: DriverEvents): Promise<readonly Adopted[]> {
    this.#events = events
    this.#speaks = await shellSpeaks(SHELL)
    const { records, damaged } = await this.#records.readAll()
    for (const name of damaged)
      this.#options.log.log('error', 'a record is damaged; it is set aside and what it names is ended', {
        name,
      })
    const { clock, log } = this.#options
    const adoption = {
      folders: this.#folders,
      cgroups: this.#cgroups,
      clock,
      log,
      boot: this.#boot,
      speaks: this.#speaks,
    }
    const adopted: Adopted[] = []
    const found: Run[] = []
    for (const stored of records) {
      const run = findRun(stored, adoption)
      this.#last.set(stored.record.instance, stored.record.nonce)
      if (run !== null) found.push(run)
      else adopted.push(await endedRun(stored.record, adoption))
    }
    await endLeftovers(new Set(found.map((run) => run.record.nonce)), new Set(this.#last.values()), adoption)
    for (const run of found) {
      this.#options.output.begin(run.record.instance, { isRunning: true })
      if (run.record.fence !== undefined) this.#leases.begin(run.record.instance, run.folder, null)
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

  async #spawn({ record, environment, lease }: SpawnRequest): Promise<Spawned> {
    const { instance, definition } = record
    assert(!this.#runs.has(instance), `${instance} has no process when it is spawned`)
    const { peer, output } = this.#options
    const workingDirectory = this.directories.workingOf(instance, definition)
    // Its own is made beside the run's.
    if (definition.workingDir !== null || definition.package !== undefined)
      checkDirectory(workingDirectory, peer)
    const [word = '', ...words] = definition.command
    const path = environment['PATH'] ?? ''
    const program = resolveCommand(word, { directory: workingDirectory, path, peer })
    const folder = this.#folders.pathOf(record.nonce)
    await preparePlaces(folder, this.#directoriesFor(record), this.#launching)
    const confinement = await this.#recorded(record, workingDirectory, [program, ...words])
    const lastNonce = this.#last.get(instance)
    this.#last.set(instance, record.nonce)
    const { shortfall } = confinement
    if (shortfall !== '') this.#options.log.log('warn', `${instance} ${shortfall}`)
    if (lease !== undefined) this.#leases.begin(instance, folder, lease)
    const { groups, isSandboxed } = confinement
    const script = launchScript({
      shell: SHELL,
      shim: this.#shim,
      runDirectory: folder,
      workingDirectory,
      ...output.begin(instance, { isRunning: false }),
      confined: confinedText(confinement),
      environment: {
        ...environmentIn(confinement, definition, environment),
        // Neither a sandbox nor another user sees the driver's own directories.
        ...(lease === undefined || isSandboxed || definition.user !== null
          ? {}
          : { TUTTI_FENCE_FILE: join(folder, RUN_FILES.lease) }),
      },
      watchdog: lease === undefined ? '' : watchdogLine(SHELL, folder, record.nonce, groups.tracking),
      prelude: lease === undefined ? confinement.prelude : unlessOver(confinement.prelude, folder),
      command: confinement.command,
    })
    try {
      const write = (): void => this.#leases.write(instance)
      const run = await launchSafely(
        { record, folder, script, confined: confinement, write },
        this.#launching,
      )
      output.begin(instance, { isRunning: true })
      this.#watch(run)
      // Nobody asks for it since the record names another run; and a restart does not wait for it.
      if (lastNonce !== undefined) await this.#folders.drop(lastNonce)
      return { pid: run.shim.pid, shortfall }
    } catch (error) {
      this.#leases.end(instance)
      output.end(instance)
      throw error
    }
  }

  /** What a run needs besides its own directory. */
  #directoriesFor({ instance, nonce, definition }: InstanceRecord): readonly string[] {
    const groups = this.#cgroups.foldersOf(nonce)
    const folders = [this.#options.output.folderOf(instance)]
    const { own } = this.directories.besideOf(instance, definition)
    if (own !== null) folders.push(own)
    // Of a first run there are none. Nor is it looked for them: that would wait for others that are being made beside them.
    const isFirst = !this.#last.has(instance)
    return [...groups, ...(isFirst ? folders : folders.filter((folder) => !existsSync(folder)))]
  }

  /** Makes what confines a run, and then its record durable; where either fails, nothing of the run is left. */
  async #recorded(
    record: InstanceRecord,
    workingDirectory: string,
    command: readonly string[],
  ): Promise<Confinement> {
    const { definition, nonce, instance } = record
    const beside = this.directories.besideOf(instance, definition)
    const { peer } = this.#options
    try {
      const plan = {
        run: nonce,
        peer,
        definition,
        workingDirectory,
        ownDirectory: beside.own,
        packageDirectory: beside.package,
        command,
      }
      const confinement = await confine(plan, this.#cgroups)
      await this.#records.write({ boot: this.#boot, record })
      return confinement
    } catch (error) {
      await this.#folders.drop(nonce)
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

  extend(instance: InstanceId, lease: HeldLease): void {
    try {
      this.#leases.extend(instance, lease)
    } catch (error) {
      this.#options.log.log('error', 'a lease could not be written; its run will be ended', {
        instance,
        error,
      })
    }
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
    this.#records.close()
    this.#cgroups.close()
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
    this.#leases.end(instance)
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
    if (nonce !== undefined) await this.#folders.drop(nonce)
  }
}
