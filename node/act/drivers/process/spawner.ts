// Launchers: they make a run's places and start its shim as a session of its own. The spawner asks long-lived
// small shells to fork; the direct launcher forks the peer itself and is what remains where that shell cannot
// work. Neither owns what it started: instances outlive both.

import { execFile, spawn } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import type { Log } from '../../../../lib/log.ts'
import { SYSTEM_PATH } from './command.ts'
import { RUN_FILES, type LaunchTexts } from './launch.ts'
import { aliveIn, makeDirectories, Places } from './places.ts'
import { SpawnerShell } from './spawner-shell.ts'

/** Starts what is to run. */
export interface Launcher {
  /** Makes a run directory with its FIFO, and others where they are missing; all absolute. */
  prepare(runDirectory: string, directories: readonly string[]): Promise<void>
  /** Takes back the directory of a run that is over, and whose shim is gone or another run's: it may become a later one's. */
  discard(runDirectory: string): Promise<void>
  /** Starts a run's shim as a session of its own. A throw leaves open whether it was started. */
  launch(runDirectory: string, texts: LaunchTexts): Promise<void>
  /** Ends the launcher, and nothing that it launched. */
  close(): void
}

/** Every POSIX system has it, and it is dash or as small as dash where it matters. */
export const SHELL = '/bin/sh'
// The spawner needs three system programs and none of the peer's environment.
const ENVIRONMENT = { PATH: SYSTEM_PATH }

const run = promisify(execFile)

/** Forks the peer itself: blocks its event loop for as long as the kernel copies its page tables. */
export const directLauncher: Launcher = {
  prepare: async (runDirectory, directories) => {
    await makeDirectories([...directories, runDirectory])
    await run('mkfifo', ['-m', '600', aliveIn(runDirectory)])
  },
  discard: async (runDirectory) => {
    await rm(runDirectory, { recursive: true, force: true })
  },
  launch: async (runDirectory, { script }) => {
    const file = `${runDirectory}/${RUN_FILES.launch}`
    await writeFile(file, script(), { mode: 0o600 })
    const child = spawn(SHELL, [file], {
      detached: true,
      stdio: 'ignore',
      env: ENVIRONMENT,
      cwd: '/',
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    child.unref()
  },
  close: () => undefined,
}

// A spawner that dies this often before it has answered once will not do better the next time.
const DEATHS_MAX = 3
// One spawner starts some 900 a second; each takes 130 KiB, and is started by a fork of the peer.
const SPAWNERS_MAX = Math.min(4, availableParallelism())
/** Another one is started when each has so many requests: a restart now and then never needs a second. */
const REQUESTS_PER_SPAWNER = 4

/** The shells that fork for the peer: one when first needed, more for many starts at once, again when one died. */
export class SpawnerLauncher implements Launcher {
  readonly #log: Log
  readonly #places: Places
  readonly #spawners: SpawnerShell[] = []
  #deathsInARow = 0
  #closed = false

  /** `spares`: a folder of its own, absolute, for run directories that are kept for later ones. */
  constructor(log: Log, spares: string | null) {
    this.#log = log
    this.#places = new Places(async (command) => await this.#request(command), spares)
  }

  /** False: use the direct launcher. */
  get usable(): boolean {
    return this.#deathsInARow < DEATHS_MAX && !this.#closed
  }

  /** The spawners' own processes. */
  get pids(): readonly number[] {
    return this.#spawners.flatMap(({ pid }) => pid ?? [])
  }

  async prepare(runDirectory: string, directories: readonly string[]): Promise<void> {
    await this.#places.make({ runDirectory, directories })
  }

  async discard(runDirectory: string): Promise<void> {
    await this.#places.discard(runDirectory)
  }

  async launch(_runDirectory: string, { command }: LaunchTexts): Promise<void> {
    // In the foreground: a background job of a shell ignores SIGINT and SIGQUIT, and so would the instance.
    await this.#request(command())
  }

  close(): void {
    this.#closed = true
    for (const spawner of this.#spawners.splice(0)) spawner.close()
  }

  async #request(command: string): Promise<void> {
    await this.#leastBusy().request(command)
  }

  #leastBusy(): SpawnerShell {
    let least: SpawnerShell | null = null
    for (const spawner of this.#spawners)
      if (least === null || spawner.waiting < least.waiting) least = spawner
    const isEnough = least !== null && least.waiting < REQUESTS_PER_SPAWNER
    if (least !== null && (isEnough || this.#spawners.length >= SPAWNERS_MAX)) return least
    return this.#start()
  }

  #start(): SpawnerShell {
    const spawner = new SpawnerShell({
      shell: SHELL,
      environment: ENVIRONMENT,
      answered: () => {
        this.#deathsInARow = 0
      },
      died: () => {
        this.#spawners.splice(this.#spawners.indexOf(spawner), 1)
        this.#deathsInARow += 1
        this.#log.log(
          'warn',
          this.usable ? 'a spawner died; it is started anew' : 'the spawner does not work here',
        )
      },
    })
    this.#spawners.push(spawner)
    return spawner
  }
}

/** The spawner, and the direct launcher wherever it fails. */
export class SafeLauncher implements Launcher {
  readonly #spawner: SpawnerLauncher
  readonly #log: Log

  /** `spares`: as the spawner has it. @default none are made ahead of time */
  constructor(log: Log, spares: string | null = null) {
    this.#spawner = new SpawnerLauncher(log, spares)
    this.#log = log
  }

  /** The spawners' own processes. */
  get spawnerPids(): readonly number[] {
    return this.#spawner.pids
  }

  async prepare(runDirectory: string, directories: readonly string[]): Promise<void> {
    if (this.#spawner.usable) {
      try {
        await this.#spawner.prepare(runDirectory, directories)
        return
      } catch (error) {
        this.#log.log('warn', 'the spawner made no run directory', { error })
      }
    }
    try {
      await directLauncher.prepare(runDirectory, directories)
    } catch (cause) {
      // A spawner that died after it had made the FIFO left it in place, which is all that was wanted.
      if (!String(cause).includes('File exists')) throw cause
    }
  }

  async discard(runDirectory: string): Promise<void> {
    await (this.#spawner.usable ? this.#spawner : directLauncher).discard(runDirectory)
  }

  async launch(runDirectory: string, texts: LaunchTexts): Promise<void> {
    // No second try here: a spawner that died may have launched it, so the driver tells by the FIFO.
    const launcher = this.#spawner.usable ? this.#spawner : directLauncher
    await launcher.launch(runDirectory, texts)
  }

  close(): void {
    this.#spawner.close()
  }
}
