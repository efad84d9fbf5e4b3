// Launchers: they make a run directory's FIFO and start its launch script as a session of its own. The spawner asks a
// long-lived small shell to fork; the direct launcher forks the peer itself and is what remains where that shell cannot
// work. Neither owns what it started: instances outlive both.

import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { TuttiError } from '../../../../lib/errors.ts'
import type { Log } from '../../../../lib/log.ts'
import { SYSTEM_PATH } from './command.ts'
import { Fifos } from './fifos.ts'
import { quoted, RUN_FILES } from './launch.ts'

/** Starts launch scripts. */
export interface Launcher {
  /** Makes the FIFO `alive` in a run directory. */
  prepare(runDirectory: string): Promise<void>
  /** Starts a run's launch script as a session of its own. A throw leaves open whether it was started. */
  launch(runDirectory: string, script: string): Promise<void>
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
  prepare: async (runDirectory) => {
    await run('mkfifo', ['-m', '600', `${runDirectory}/${RUN_FILES.alive}`])
  },
  launch: async (runDirectory, script) => {
    const file = `${runDirectory}/${RUN_FILES.launch}`
    await writeFile(file, script, { mode: 0o600 })
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

interface Spawner {
  readonly child: ChildProcess
  /** Requests without an answer, in order: answers come in the order of requests. */
  readonly waiting: PromiseWithResolvers<void>[]
}

// A line of as many paths is far below what a shell reads and a program takes.
const FIFOS_MAX = 32
/** Until all that waits for the same event has asked. */
const nextTurn = promisify(setImmediate)

// A spawner that dies this often before it has answered once will not do better the next time.
const DEATHS_MAX = 3

/** The shell that forks for the peer; started when first needed, again when it died. */
export class SpawnerLauncher implements Launcher {
  readonly #log: Log
  readonly #script = fileURLToPath(new URL('spawner.sh', import.meta.url))
  readonly #spares: Fifos | null
  #spawner: Spawner | null = null
  /** FIFOs asked for in this breath: one program makes them all. */
  #unmade: { readonly paths: string[]; readonly made: Promise<void> } | null = null
  #deathsInARow = 0
  #closed = false

  /** `spares`: a folder of its own, absolute, for FIFOs made ahead of time. */
  constructor(log: Log, spares: string | null) {
    this.#log = log
    this.#spares = spares === null ? null : new Fifos(spares, async (paths) => await this.#make(paths))
  }

  /** False: use the direct launcher. */
  get usable(): boolean {
    return this.#deathsInARow < DEATHS_MAX && !this.#closed
  }

  /** The spawner's own process; null while there is none. */
  get pid(): number | null {
    return this.#spawner?.child.pid ?? null
  }

  async prepare(runDirectory: string): Promise<void> {
    const path = `${runDirectory}/${RUN_FILES.alive}`
    if (this.#spares !== null && (await this.#spares.place(path))) return
    if (this.#unmade !== null && this.#unmade.paths.length < FIFOS_MAX) {
      this.#unmade.paths.push(path)
      await this.#unmade.made
      return
    }
    const paths = [path]
    const made = nextTurn().then(async () => {
      this.#unmade = null
      await this.#make(paths)
    })
    this.#unmade = { paths, made }
    await made
  }

  async launch(_runDirectory: string, script: string): Promise<void> {
    // In the foreground: a background job of a shell ignores SIGINT and SIGQUIT, and so would the instance.
    await this.#request(`( ${script})`)
  }

  close(): void {
    this.#closed = true
    this.#spawner?.child.stdin?.destroy()
  }

  async #make(paths: readonly string[]): Promise<void> {
    await this.#request(`mkfifo -m 600 ${paths.map(quoted).join(' ')} </dev/null`)
  }

  /** Has a command run; rejects when its status is not 0. */
  async #request(command: string): Promise<void> {
    const spawner = this.#spawner ?? this.#start()
    const answer = Promise.withResolvers<void>()
    spawner.waiting.push(answer)
    spawner.child.stdin?.write(`${command}\necho "$?"\n`)
    await answer.promise
  }

  #start(): Spawner {
    const child = spawn(SHELL, ['-s'], {
      // Its own session: a Ctrl-C in the peer's terminal is not for it.
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: ENVIRONMENT,
      cwd: '/',
    })
    child.stdin?.write(`. ${quoted(this.#script)}\n`)
    const spawner: Spawner = { child, waiting: [] }
    this.#spawner = spawner
    const gone = (): void => {
      if (this.#spawner !== spawner) return
      this.#spawner = null
      if (!this.#closed) {
        this.#deathsInARow += 1
        this.#log.log(
          'warn',
          this.usable ? 'the spawner died; it is started anew' : 'the spawner does not work here',
        )
      }
      for (const answer of spawner.waiting.splice(0))
        answer.reject(new TuttiError('internal', 'the spawner died'))
    }
    child.once('exit', gone)
    child.once('error', gone)
    // Its death is heard by `exit`; a write into its closed pipe says nothing more.
    child.stdin?.on('error', () => undefined)
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (status) => {
        this.#deathsInARow = 0
        const answer = spawner.waiting.shift()
        if (status === '0') answer?.resolve()
        else answer?.reject(new TuttiError('internal', `the spawner failed with status ${status}`))
      })
    }
    // The spawner must not keep a peer alive that has nothing else to do.
    child.unref()
    for (const stream of [child.stdin, child.stdout]) if (stream instanceof Socket) stream.unref()
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

  /** The spawner's own process; null while there is none. */
  get spawnerPid(): number | null {
    return this.#spawner.pid
  }

  async prepare(runDirectory: string): Promise<void> {
    if (this.#spawner.usable) {
      try {
        await this.#spawner.prepare(runDirectory)
        return
      } catch (error) {
        this.#log.log('warn', 'the spawner made no FIFO', { error })
      }
    }
    try {
      await directLauncher.prepare(runDirectory)
    } catch (cause) {
      // A spawner that died after it had made the FIFO left it in place, which is all that was wanted.
      if (!String(cause).includes('File exists')) throw cause
    }
  }

  async launch(runDirectory: string, script: string): Promise<void> {
    // No second try here: a spawner that died may have launched it, so the driver tells by the FIFO.
    const launcher = this.#spawner.usable ? this.#spawner : directLauncher
    await launcher.launch(runDirectory, script)
  }

  close(): void {
    this.#spawner.close()
  }
}
