// Forkers: they run a short command in a process group of its own and say how it ended. The shell forker asks a long-lived
// small shell, since Node.js copies its page tables at each fork and a peer is large; the direct forker forks the peer and
// is what remains where that shell cannot work. Deliberately absent: what the commands are for, and any timeout.

import { spawn, type ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Log } from '../../lib/log.ts'
import type { Cut } from './cut.ts'
import { identityOf, isAlive, type ProcessIdentity } from './drivers/process/identity.ts'
import { quoted } from './drivers/process/launch.ts'
import { SHELL } from './drivers/process/spawner.ts'

/** A command to run. */
export interface ForkedCommand {
  /** Absolute. */
  readonly program: string
  readonly words: readonly string[]
  readonly directory: string
  /** The whole environment. */
  readonly environment: Readonly<Record<string, string>>
}

/** How it ended: its exit status (128 and more: a signal, as shells count), or the end of the caller's patience. */
export type ForkedEnd = number | 'cut'

/** Runs commands. */
export interface Forker {
  /** When cut, what still runs of it is ended. @throws an Error when it could not be run at all. */
  run(command: ForkedCommand, cut: Cut): Promise<ForkedEnd>
  /** Ends the forker; commands that run are left to end by themselves. */
  close(): void
}

const SIGNAL_BASE = 128
const SIGKILL_NUMBER = 9

/** Forks the peer itself. */
export const directForker: Forker = {
  run: async ({ program, words, directory, environment }, cut) =>
    await new Promise<ForkedEnd>((resolve, reject) => {
      const child = spawn(program, words, {
        detached: true,
        stdio: 'ignore',
        cwd: directory,
        env: environment,
      })
      const forget = cut.whenMade(() => {
        // The child is not reaped before its exit event, so its pid is still its own.
        if (child.exitCode === null && child.signalCode === null) killGroup(child.pid)
        resolve('cut')
      })
      child.once('error', (error) => {
        forget()
        reject(error)
      })
      child.once('exit', (code) => {
        forget()
        resolve(code ?? SIGNAL_BASE + SIGKILL_NUMBER)
      })
    }),
  close: () => undefined,
}

const killGroup = (pid: number | undefined): void => {
  try {
    if (pid !== undefined && pid > 1) process.kill(-pid, 'SIGKILL')
  } catch {
    // Gone in this very moment.
  }
}

interface Running {
  readonly ended: PromiseWithResolvers<ForkedEnd | 'lost'>
  /** Null: not reported yet, or over before anybody looked. */
  identity: ProcessIdentity | null
  isCut: boolean
}

// A shell that dies this often before it has answered once will not do better the next time.
const DEATHS_MAX = 3

/** A word as the shell's `read` and `eval` give it back: on one line, whatever is in it. */
const wordOf = (text: string): string => quoted(text).replaceAll('\n', `'"$N"'`)

/** The shell that forks for the peer, started when first needed and again when it died; the peer itself where it fails. */
export class ShellForker implements Forker {
  readonly #log: Log
  readonly #script = fileURLToPath(new URL('forker.sh', import.meta.url))
  readonly #running = new Map<string, Running>()
  #shell: ChildProcess | null = null
  #ids = 0
  #deathsInARow = 0
  #closed = false

  constructor(log: Log) {
    this.#log = log
  }

  /** The shell's own process; null while there is none. */
  get pid(): number | null {
    return this.#shell?.pid ?? null
  }

  async run(command: ForkedCommand, cut: Cut): Promise<ForkedEnd> {
    if (cut.isMade) return 'cut'
    // `env` would take a program with = in its name for a variable.
    const isPlain = this.#deathsInARow < DEATHS_MAX && !this.#closed && !command.program.includes('=')
    if (!isPlain) return await directForker.run(command, cut)
    const shell = this.#shell ?? this.#start()
    this.#ids += 1
    const id = String(this.#ids)
    const running: Running = { ended: Promise.withResolvers(), identity: null, isCut: false }
    this.#running.set(id, running)
    const { program, words, directory, environment } = command
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
    shell.stdin?.write(`${id} ${[directory, ...variables, program, ...words].map(wordOf).join(' ')}\n`)
    const forget = cut.whenMade(() => {
      running.isCut = true
      this.#end(running)
      running.ended.resolve('cut')
    })
    try {
      const end = await running.ended.promise
      // Asked twice rather than not at all: the shell's death says nothing of what was asked.
      return end === 'lost' ? await directForker.run(command, cut) : end
    } finally {
      forget()
    }
  }

  close(): void {
    this.#closed = true
    this.#shell?.stdin?.destroy()
  }

  /** Only the very process that was reported: its number may be another's by now. */
  #end({ identity }: Running): void {
    if (identity !== null && isAlive(identity)) killGroup(identity.pid)
  }

  #answer(line: string): void {
    this.#deathsInARow = 0
    const [id = '', word = '', pid = ''] = line.split(' ')
    const running = this.#running.get(id)
    if (running === undefined) return
    if (word === 'p') {
      running.identity = identityOf(Number(pid))
      if (running.isCut) this.#end(running)
      return
    }
    this.#running.delete(id)
    running.ended.resolve(Number(word))
  }

  #start(): ChildProcess {
    const shell = spawn(SHELL, [this.#script], {
      // Its own session: a Ctrl-C in the peer's terminal is not for it.
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      // It needs a few system programs and nothing of the peer's environment.
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
      cwd: '/',
    })
    this.#shell = shell
    const gone = (): void => {
      if (this.#shell !== shell) return
      this.#shell = null
      this.#deathsInARow += 1
      if (!this.#closed) this.#log.log('warn', 'the shell that runs the commands of probes died')
      for (const [id, { ended }] of this.#running) {
        this.#running.delete(id)
        ended.resolve('lost')
      }
    }
    shell.once('exit', gone)
    shell.once('error', gone)
    // Its death is heard by `exit`; a write into its closed pipe says nothing more.
    shell.stdin?.on('error', () => undefined)
    if (shell.stdout !== null) {
      createInterface({ input: shell.stdout }).on('line', (line) => {
        this.#answer(line)
      })
    }
    // It must not keep a peer alive that has nothing else to do.
    shell.unref()
    for (const stream of [shell.stdin, shell.stdout]) if (stream instanceof Socket) stream.unref()
    return shell
  }
}
