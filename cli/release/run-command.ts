// One command of a build: run in a process group of its own, its lines shown as they come and kept in a file, bounded in
// time and output. Whatever it started goes with it. What the command is for, its callers know.

import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { messageOf } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/time.ts'
import type { Environment } from './git.ts'

export interface BuildCommand {
  /** Exec form. */
  readonly words: readonly string[]
  readonly directory: string
  /** The whole environment. */
  readonly environment: Environment
  readonly timeoutMs: number
  /** The file to which its output is appended. */
  readonly log: string
  readonly signal: AbortSignal
  /** Shows one line of either stream. */
  readonly show: (line: string) => void
}

export type CommandEnd =
  | { readonly kind: 'done' }
  /** `why` follows the command's name: `exited with 2`, `was ended by SIGSEGV`, `took longer than 30m`. */
  | { readonly kind: 'failed'; readonly why: string; readonly lastLines: readonly string[] }
  | { readonly kind: 'interrupted' }

/** Between asking a command to end and killing it. */
const GRACE_MS = 5000
/** After its end, a process that it left behind may hold its output open; nobody waits for that. */
const SILENCE_MS = 500
/** A build that prints more is in a loop; its last lines are kept apart. */
const LOG_BYTES_MAX = 16 * 1024 * 1024
const LAST_LINES = 20
/** A line longer than that is data. */
const LINE_LENGTH_MAX = 2000

/** Cuts chunks of text into lines; a carriage return begins a line anew, as on a terminal. */
class Lines {
  readonly #last: string[]
  readonly #show: (line: string) => void
  #rest = ''

  /** @param last the last lines of all streams of the command */
  constructor(last: string[], show: (line: string) => void) {
    this.#last = last
    this.#show = show
  }

  take(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = (lines.pop() ?? '').slice(-LINE_LENGTH_MAX)
    for (const line of lines) this.#tell(line)
  }

  end(): void {
    if (this.#rest !== '') this.#tell(this.#rest)
    this.#rest = ''
  }

  #tell(line: string): void {
    const text = (line.replace(/\r$/, '').split('\r').at(-1) ?? '').slice(0, LINE_LENGTH_MAX)
    this.#last.push(text)
    if (this.#last.length > LAST_LINES) this.#last.shift()
    this.#show(text)
  }
}

/** Runs it to its end. Never throws. */
export const runCommand = async (command: BuildCommand): Promise<CommandEnd> => {
  const { words, directory, environment, signal } = command
  if (signal.aborted) return { kind: 'interrupted' }
  const [program = '', ...rest] = words
  const last: string[] = []
  const log = createWriteStream(command.log, { flags: 'a', mode: 0o600 })
  // A full disk must not fail a build that has room for its own files.
  log.on('error', () => undefined)
  const child = spawn(program, rest, {
    cwd: directory,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let timedOut = false
  const end = (): void => endGroup(child)
  const onTime = (): void => {
    timedOut = true
    end()
  }
  const timer = setTimeout(onTime, command.timeoutMs)
  signal.addEventListener('abort', end, { once: true })
  try {
    const why = await collect(child, log, () => new Lines(last, command.show))
    if (signal.aborted) return { kind: 'interrupted' }
    if (timedOut) return failed(`took longer than ${formatDuration(command.timeoutMs)} and was ended`, last)
    return why === null ? { kind: 'done' } : failed(why, last)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
    signalGroup(child, 'SIGKILL')
    log.end()
  }
}

const failed = (why: string, last: readonly string[]): CommandEnd => ({
  kind: 'failed',
  why,
  lastLines: [...last],
})

/** Reads the output until the end; resolves with why it failed, or null. */
const collect = (child: ChildProcess, log: WriteStream, newLines: () => Lines): Promise<string | null> =>
  new Promise((resolve) => {
    let written = 0
    const streams = [child.stdout, child.stderr].map((stream) => ({ stream, lines: newLines() }))
    for (const { stream, lines } of streams) {
      stream?.setEncoding('utf8')
      stream?.on('data', (chunk: string) => {
        lines.take(chunk)
        if (written > LOG_BYTES_MAX) return
        written += Buffer.byteLength(chunk)
        log.write(written > LOG_BYTES_MAX ? '\n[the rest is not kept]\n' : chunk)
      })
    }
    const finish = (why: string | null): void => {
      for (const { lines } of streams) lines.end()
      resolve(why)
    }
    child.once('error', (error) => finish(`could not be started (${messageOf(error)})`))
    child.once('exit', (code, signal) => {
      const why = code === 0 ? null : code === null ? `was ended by ${signal}` : `exited with ${code}`
      const late = setTimeout(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
      }, SILENCE_MS)
      child.once('close', () => {
        clearTimeout(late)
        finish(why)
      })
    })
  })

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // The whole group is gone.
  }
}

const endGroup = (child: ChildProcess): void => {
  signalGroup(child, 'SIGTERM')
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), GRACE_MS)
  child.once('close', () => clearTimeout(timer))
}
