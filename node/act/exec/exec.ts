// Exec: runs commands in the surroundings of this peer's instances and ends all that they started. The driver says how
// an instance is entered; pipes.ts and terminal.ts run the command; this file bounds, feeds, merges and clears up. Who may
// do it, where, and what is told of it is the face's.

import { constants } from 'node:os'
import { isAbsolute, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { messageOf, TuttiError } from '../../../lib/errors.ts'
import { unreachable } from '../../../lib/assert.ts'
import type { Clock } from '../../../lib/time.ts'
import type { Enterable, Entrance, Exec, ExecInput, ExecOutput, ExecRequest } from '../../ports.ts'
import { checkDirectory, resolveCommand } from '../drivers/process/command.ts'
import { Channel } from './channel.ts'
import { endMarked, MARK } from './marks.ts'
import { startWithPipes } from './pipes.ts'
import type { Launch, Running } from './running.ts'
import { startInTerminal } from './terminal.ts'

export interface ExecOptions {
  readonly driver: Enterable
  /** Member id and name; the id is in the mark of every command of this peer. */
  readonly peer: { readonly id: string; readonly name: string }
  readonly clock: Clock
  /** Fresh and unguessable each time. */
  readonly mintMark: () => string
}

/** Commands at once on one peer: a team's shells and scripts. Each costs four descriptors, in a terminal a process of 40 MiB. */
const COMMANDS_MAX = 16
/** Between asking a command to end, when its caller has gone, and killing it. */
const GRACE_MS = 2000
/** After its end: output that a process holds open which cleared its environment and so cannot be found is not waited for. */
const SILENCE_MS = 500
/** In a mount namespace the working directory can only be entered from within. */
const CD_SCRIPT = '{ [ -z "$1" ] || cd -P "$1"; } && shift && exec "$@"'

type Missing = Extract<ExecOutput, { readonly kind: 'missing' }>

const signalOf = (name: string): NodeJS.Signals | null =>
  Object.hasOwn(constants.signals, name) ? (name as NodeJS.Signals) : null

/** The `Exec` of a peer's own instances. */
export class Execs implements Exec {
  readonly #options: ExecOptions
  #running = 0

  constructor(options: ExecOptions) {
    this.#options = options
  }

  /** Ends what a crash of this peer left of earlier commands (S10). Call before the first `run`. */
  async start(): Promise<void> {
    const { peer, clock } = this.#options
    await endMarked((mark) => mark.startsWith(`${peer.id}.`), clock)
  }

  async *run(
    request: ExecRequest,
    input: AsyncIterable<ExecInput>,
    signal: AbortSignal,
  ): AsyncGenerator<ExecOutput, void, void> {
    if (this.#running >= COMMANDS_MAX)
      throw new TuttiError(
        'busy',
        `${COMMANDS_MAX} commands run on peer '${this.#options.peer.name}' already; end one, or try again later`,
      )
    this.#running += 1
    try {
      yield* this.#run(request, input, signal)
    } finally {
      this.#running -= 1
    }
  }

  async *#run(
    request: ExecRequest,
    input: AsyncIterable<ExecInput>,
    signal: AbortSignal,
  ): AsyncGenerator<ExecOutput, void, void> {
    const mark = `${this.#options.peer.id}.${this.#options.mintMark()}`
    const launch = this.#prepare(request, mark)
    if ('kind' in launch) {
      yield launch
      return
    }
    const running = await (request.terminal === null
      ? startWithPipes(launch)
      : startInTerminal(launch, request.terminal))
    const channel = new Channel<ExecOutput>()
    const left = (): void => channel.close()
    signal.addEventListener('abort', left, { once: true })
    try {
      if (signal.aborted) return
      void feed(running, input)
      void this.#collect(running, channel, mark)
      yield* channel
    } finally {
      signal.removeEventListener('abort', left)
      channel.close()
      await this.#end(running, mark)
    }
  }

  /** Finds the command and the directory. @throws TuttiError `conflict`, `unknown`. */
  #prepare(request: ExecRequest, mark: string): Launch | Missing {
    const { driver, peer } = this.#options
    const entrance = driver.enter(request.instance)
    const environment: Readonly<Record<string, string>> = {
      ...entrance.environment,
      ...request.environment,
      [MARK]: mark,
    }
    const directory = directoryIn(entrance, request.workingDir)
    const [word = '', ...rest] = request.command
    let words: readonly string[]
    if (entrance.ownFiles)
      words = [...entrance.prefix, '/bin/sh', '-c', CD_SCRIPT, 'sh', request.workingDir ?? '', word, ...rest]
    else {
      checkDirectory(directory, peer.name)
      const path = environment['PATH'] ?? ''
      try {
        const file = resolveCommand(word, { directory, path, peer: peer.name })
        words = [...entrance.prefix, file, ...rest]
      } catch (thrown) {
        return { kind: 'missing', message: messageOf(thrown) }
      }
    }
    const [file = '', ...others] = words
    return { file, words: others, environment, directory: entrance.ownFiles ? '/' : directory }
  }

  /** Brings the outputs together, and the exit after them. Never rejects. */
  async #collect(running: Running, channel: Channel<ExecOutput>, mark: string): Promise<void> {
    let chunks = 0
    const read = async (kind: 'stdout' | 'stderr', stream: Readable): Promise<void> => {
      try {
        for await (const bytes of stream as AsyncIterable<Uint8Array>) {
          chunks += 1
          await channel.push({ kind, bytes })
        }
      } catch {
        // Cut off below, or by the other end's death: either way there is no more.
      }
    }
    const { stdout, stderr } = running.outputs
    const streams = [stdout, stderr].filter((stream) => stream !== undefined)
    const whole = Promise.all([
      ...(stdout === undefined ? [] : [read('stdout', stdout)]),
      ...(stderr === undefined ? [] : [read('stderr', stderr)]),
    ])
    const exit = await running.exited
    // What it left running would hold the pipes open, and nothing of an exec outlives it.
    await endMarked((each) => each === mark, this.#options.clock)
    for (let seen = -1; seen !== chunks || channel.full;) {
      seen = chunks
      if (await this.#atMost(whole, SILENCE_MS)) break
    }
    for (const stream of streams) stream.destroy()
    await channel.push({ kind: 'exit', ...exit })
    channel.close()
  }

  /** Afterwards nothing of the command is left. At once when it ended by itself. */
  async #end(running: Running, mark: string): Promise<void> {
    const { stdout, stderr } = running.outputs
    running.hangUp()
    await this.#atMost(running.exited, GRACE_MS)
    await endMarked((each) => each === mark, this.#options.clock)
    stdout?.destroy()
    stderr?.destroy()
    running.end()
  }

  /** Whether the work was done in time. */
  async #atMost(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
    const late = Promise.withResolvers<false>()
    const cancel = this.#options.clock.after(timeoutMs, () => late.resolve(false))
    const inTime = await Promise.race([work.then(() => true), late.promise])
    cancel()
    return inTime
  }
}

const directoryIn = (entrance: Entrance, workingDir: string | null): string => {
  if (workingDir === null) return entrance.directory
  return isAbsolute(workingDir) ? workingDir : resolve(entrance.directory, workingDir)
}

/** Gives the command what its caller says, no faster than it takes it. Never rejects. */
const feed = async (running: Running, input: AsyncIterable<ExecInput>): Promise<void> => {
  try {
    for await (const word of input) {
      switch (word.kind) {
        case 'data':
          await running.write(word.bytes)
          break
        case 'end':
          running.end()
          break
        case 'resize':
          running.resize(word.size)
          break
        case 'signal': {
          const name = signalOf(word.signal)
          if (name !== null) running.signal(name)
          break
        }
        default:
          unreachable(word)
      }
    }
  } catch {
    // The caller is gone; the signal that came with it ends the command.
  }
}
