// The process driver: instances as plain processes of this machine, each under a shim in a session of its own. A record
// is on disk before anything is spawned (S10); the shim writes its own identity before it starts the program, so there
// is no instant at which a crash of the peer leaves a process that the next peer cannot find. Decides nothing: when to
// start, restart or stop is the plan's; how a run is confined and ended are confinement.ts and run.ts.

import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, defined } from '../../../../lib/assert.ts'
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
  HeirRequest,
  InstanceRecord,
  Spawned,
  SpawnRequest,
} from '../../../ports.ts'
import { endedRun, endLeftovers, findRun } from './adoption.ts'
import { Census } from './census.ts'
import { Cgroups, currentLayout, groupNameOf, type Grouped } from './cgroups/cgroups.ts'
import { checkDirectory, resolveCommand } from './command.ts'
import { confine, confinedText, environmentIn, type Confinement } from './confinement.ts'
import { Directories } from './directories.ts'
import type { ProcessDriverOptions } from './driver-options.ts'
import { entranceOf } from './entrance.ts'
import { isSignal, shellSpeaks } from './exit.ts'
import { armRun, disarmRun, mayHaveHeir, successorOf } from './heirs.ts'
import { currentBoot, isAlive } from './identity.ts'
import { inheritanceOf, inheritedIn, runAgeMs } from './inheritance.ts'
import { launchTexts, type LaunchPlan } from './launch.ts'
import { launchSafely, preparePlaces, SPAWN_TIMEOUT_MS, type LaunchingOptions } from './launching.ts'
import { RunLeases, underLease } from './leases.ts'
import { Records } from './records.ts'
import { exitIn } from './run-folder.ts'
import { RunFolders } from './run-folders.ts'
import { endRun, isUp, killRun, oomKillsIn, signalRun, type Run } from './run.ts'
import { shimTime } from './shim-time.ts'
import { toldIn } from './told.ts'
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
  readonly #shimTime = shimTime()
  readonly #boot = currentBoot()
  readonly #census: Census
  readonly #gate = new Gate(SPAWNS_MAX)
  readonly #runs = new Map<InstanceId, Run>()
  /** Nonce of each instance's last run, whose directory is kept for its exit status. */
  readonly #last = new Map<InstanceId, string>()
  /** Nonce of the run that an instance's run has followed as its heir, whose end is on record nowhere but in its directory. */
  readonly #testators = new Map<InstanceId, string>()
  readonly #cgroups: Cgroups
  readonly #leases: RunLeases
  readonly #folders: RunFolders
  readonly #launching: LaunchingOptions
  #events: DriverEvents = { exited: () => undefined, succeeded: () => undefined }
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
    this.#folders = new RunFolders(join(folder, 'runs'), launcher, log)
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
    const lines = new Map<InstanceId, Adopted['inherited']>()
    for (const stored of records) {
      const heir = await inheritanceOf(stored, adoption)
      const record = heir?.record ?? stored.record
      lines.set(record.instance, heir?.inherited)
      const run = findRun({ boot: stored.boot, record }, adoption)
      this.#last.set(record.instance, record.nonce)
      if (run !== null) found.push(run)
      else adopted.push(await endedRun(record, adoption, heir?.inherited))
    }
    await endLeftovers(found, new Set(this.#last.values()), adoption)
    for (const run of found) run.oomKillsBefore = await oomKillsIn(run)
    for (const run of found) {
      this.#options.output.begin(run.record.instance, { isRunning: true })
      if (run.record.fence !== undefined) this.#leases.begin(run.record.instance, run.folder, null)
      this.#watch(run)
      adopted.push({
        record: run.record,
        pid: run.shim.pid,
        exit: null,
        ageMs: runAgeMs(run.folder, run.shim, clock),
        shortfall: run.confined.shortfall,
        ...inheritedIn(lines, run.record),
      })
    }
    return adopted.toSorted((a, b) => compareStrings(a.record.instance, b.record.instance))
  }

  async spawn(request: SpawnRequest): Promise<Spawned> {
    return await this.#gate.pass(async () => await this.#spawn(request))
  }

  async #spawn({ record, environment, lease }: SpawnRequest): Promise<Spawned> {
    const { instance, nonce } = record
    assert(!this.#runs.has(instance), `${instance} has no process when it is spawned`)
    const { output } = this.#options
    const command = this.#commandOf(record, environment)
    const folder = this.#folders.pathOf(nonce)
    await preparePlaces(folder, this.#directoriesFor(record), this.#launching)
    const confinement = await this.#recorded(record, command)
    const lastNonce = this.#last.get(instance)
    this.#last.set(instance, nonce)
    const { shortfall } = confinement
    if (shortfall !== '') this.#options.log.log('warn', `${instance} ${shortfall}`)
    const plan = this.#launchOf(record, environment, confinement)
    const leased = lease === undefined ? plan : underLease(plan, confinement, record)
    if (lease !== undefined) this.#leases.begin(instance, folder, lease)
    const texts = launchTexts({ ...leased, ...output.begin(instance, { isRunning: false }) })
    try {
      const write = (): void => this.#leases.write(instance)
      const run = await launchSafely({ record, folder, texts, confined: confinement, write }, this.#launching)
      output.begin(instance, { isRunning: true })
      this.#watch(run)
      // Nobody asks for it since the record names another run; and a restart does not wait for it.
      if (lastNonce !== undefined) await this.#folders.drop(lastNonce)
      await this.#dropTestator(instance)
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

  /** The program, absolute, and its arguments. @throws TuttiError `unknown` where one or its directory is not there. */
  #commandOf(
    { instance, definition }: InstanceRecord,
    environment: Readonly<Record<string, string>>,
  ): readonly string[] {
    const { peer } = this.#options
    const directory = this.directories.workingOf(instance, definition)
    // Its own is made beside the run's.
    if (definition.workingDir !== null || definition.package !== undefined) checkDirectory(directory, peer)
    const [word = '', ...words] = definition.command
    const path = environment['PATH'] ?? ''
    return [resolveCommand(word, { directory, path, peer }), ...words]
  }

  async #confine(
    { instance, definition }: InstanceRecord,
    command: readonly string[],
    makeGroups: () => Promise<Grouped>,
  ): Promise<Confinement> {
    const workingDirectory = this.directories.workingOf(instance, definition)
    const { own, package: packageDirectory } = this.directories.besideOf(instance, definition)
    const { peer } = this.#options
    return await confine(
      { peer, definition, workingDirectory, ownDirectory: own, packageDirectory, command },
      makeGroups,
    )
  }

  /** Makes what confines a run, and then its record durable; where either fails, nothing of the run is left. */
  async #recorded(record: InstanceRecord, command: readonly string[]): Promise<Confinement> {
    const { definition, nonce } = record
    try {
      const confinement = await this.#confine(
        record,
        command,
        async () => await this.#cgroups.create(nonce, definition),
      )
      await this.#records.write({ boot: this.#boot, record })
      return confinement
    } catch (error) {
      await this.#folders.drop(nonce)
      throw error
    }
  }

  #launchOf(
    { instance, nonce, definition }: InstanceRecord,
    environment: Readonly<Record<string, string>>,
    confinement: Confinement,
  ): Omit<LaunchPlan, 'stdout' | 'stderr'> {
    return {
      shell: SHELL,
      shim: this.#shim,
      runDirectory: this.#folders.pathOf(nonce),
      workingDirectory: this.directories.workingOf(instance, definition),
      confined: confinedText(confinement),
      environment: { ...environmentIn(confinement, definition, environment), ...this.#shimTime },
      watchdog: '',
      joins: confinement.joins,
      prelude: confinement.prelude,
      command: confinement.command,
    }
  }

  async arm(request: HeirRequest): Promise<boolean> {
    const { instance, nonce } = request.record
    const run = this.#runs.get(instance)
    if (run?.record.nonce !== nonce || run.stopUntilMs !== null) return false
    const arming = run.arming.then(async () => run.heir !== null || (await this.#arm(run, request)))
    run.arming = arming.catch(() => undefined)
    return await arming
  }

  async #arm(run: Run, { record, environment, ...terms }: HeirRequest): Promise<boolean> {
    const { clock, output } = this.#options
    await isUp(run, clock, clock.now() + SPAWN_TIMEOUT_MS)
    if (run.stopUntilMs !== null || !mayHaveHeir(run)) return false
    const { heir: nonce, ...rest } = record
    const successor = { ...rest, nonce: defined(nonce, 'the nonce of the heir'), runs: record.runs + 1 }
    if (!run.isNamed) await this.#records.write({ boot: this.#boot, record })
    run.isNamed = true
    const { confined } = run
    // Its shim is in the groups already, and nothing has become of their limits.
    const inGroups = async (): Promise<Grouped> => ({ groups: confined.groups, missing: [] })
    const confinement = await this.#confine(successor, this.#commandOf(successor, environment), inGroups)
    const launch = {
      ...this.#launchOf(successor, environment, confinement),
      ...output.begin(record.instance, { isRunning: true }),
      joins: '',
      confined: confinedText(confined),
    }
    const heir = { record: successor, folder: launch.runDirectory, confined }
    return await armRun(run, { heir, launch, ...terms }, this.#launching)
  }

  async disarm(instance: InstanceId): Promise<boolean> {
    const run = this.#runs.get(instance)
    return run === undefined || (await disarmRun(run, this.#launching))
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
    run.isNamed = record.heir !== undefined
    await this.#dropTestator(record.instance)
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
    if (!(await disarmRun(run, this.#launching))) {
      // The program has ended, and its heir is beginning: that is what there is to be stopped.
      await run.gone.promise
      await this.stop(instance, signal, graceMs)
      return
    }
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
    await this.#dropTestator(instance)
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

  /** `over`: when the run's shim is gone, or about to become another's. */
  #watch(run: Run, over: Promise<void> = run.alive.ended): void {
    this.#runs.set(run.record.instance, run)
    void over.then(async () => {
      const successor = await successorOf(run, this.#launching)
      if (successor === null) await this.#finish(run)
      else await this.#succeed(run, successor)
    })
  }

  /** The run has ended, and its heir runs. */
  async #succeed(run: Run, successor: Run): Promise<void> {
    const { instance, nonce } = run.record
    const oomKills = toldIn(run.folder).oomKills ?? (await oomKillsIn(run))
    if (this.#closed) {
      successor.alive.close()
      return
    }
    successor.oomKillsBefore = oomKills
    const exit = exitIn(run.folder, this.#speaks, oomKills - run.oomKillsBefore) ?? EXIT_UNKNOWN
    await this.#dropTestator(instance)
    this.#testators.set(instance, nonce)
    this.#last.set(instance, successor.record.nonce)
    // One that is over already was so before its FIFO was watched, which is then silent.
    this.#watch(successor, isAlive(successor.shim) ? successor.alive.ended : Promise.resolve())
    this.#events.succeeded(instance, nonce, exit, {
      nonce: successor.record.nonce,
      pid: successor.shim.pid,
    })
    run.gone.resolve()
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
    // One that was over before it was watched has a watch that is silent, and whose FIFO would be the next run's.
    run.alive.close()
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

  async #dropTestator(instance: InstanceId): Promise<void> {
    const nonce = this.#testators.get(instance)
    this.#testators.delete(instance)
    if (nonce !== undefined) await this.#folders.drop(nonce)
  }

  async #dropLastRun(instance: InstanceId): Promise<void> {
    const nonce = this.#last.get(instance)
    this.#last.delete(instance)
    if (nonce !== undefined) await this.#folders.drop(nonce)
  }
}
