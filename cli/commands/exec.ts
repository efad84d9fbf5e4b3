// `tutti exec`: runs a command in an instance, wherever it is. Carries bytes, terminal sizes and signals one way, output and
// the exit code the other. Where the instance is, and how the command runs there, is the peers'.

import { constants } from 'node:os'
import { TuttiError } from '../../lib/errors.ts'
import type { ExecOpening } from '../../node/serve/api/contract-exec.ts'
import {
  DATA_BYTES_MAX,
  decodeHeard,
  encodeOpening,
  encodeSaid,
  type Said,
} from '../../node/serve/api/exec-wire.ts'
import { clientOf } from '../client.ts'
import { openSocket, type Conversation } from '../conversation.ts'
import { EXIT, Failure, UsageError } from '../exit.ts'
import type { Bytes, Context, Terminal } from '../io.ts'
import { parseRef } from '../refs.ts'
import { harmless } from '../render.ts'

export interface ExecOptions {
  /** Undefined: a terminal where stdin and stdout are terminals. */
  readonly terminal: boolean | undefined
  /** False: the command's input is empty. */
  readonly stdin: boolean
  /** `NAME=VALUE`, or `NAME` for the value it has here. */
  readonly environment: readonly string[]
  readonly workingDir: string | undefined
}

/** As shells say it, and as people know it from them. */
const NOT_FOUND = 127
const SIGNAL_BASE = 128

/** `tutti exec [-t|-T] [-e K=V] [-w DIR] CELL/SERVICE[/SLOT] -- COMMAND…` */
export const runExec = async (
  context: Context,
  of: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> => {
  const { seat } = parseRef(of, 'a service or a slot', 2, 3)
  const bytes = context.io.bytes()
  const terminal = terminalOf(bytes, options)
  const opening: ExecOpening = {
    of,
    command: [...command],
    environment: environmentOf(context, options.environment, terminal),
    ...(options.workingDir === undefined ? {} : { workingDir: options.workingDir }),
    ...(terminal === null ? {} : { terminal: terminal.size() }),
  }
  const conversation = await openSocket(clientOf(context), '/v1/exec')
  const session = new Session(context, conversation, bytes, { terminal, named: seat !== null })
  return await session.run(encodeOpening(opening), options.stdin)
}

/** @throws UsageError when one is asked for and there is none. */
const terminalOf = (bytes: Bytes, { terminal, stdin }: ExecOptions): Terminal | null => {
  if (terminal === false || (terminal === undefined && !(bytes.outputIsTerminal && stdin))) return null
  if (bytes.terminal === null && terminal === true)
    throw new UsageError('-t needs a terminal on stdin, and there is none; leave it out')
  return bytes.terminal
}

const environmentOf = (
  context: Context,
  given: readonly string[],
  terminal: Terminal | null,
): Record<string, string> => {
  const own = context.io.environment
  const environment: Record<string, string> = terminal === null ? {} : { TERM: own['TERM'] ?? 'xterm' }
  for (const text of given) {
    const cut = text.indexOf('=')
    const name = cut < 0 ? text : text.slice(0, cut)
    if (name === '') throw new UsageError(`'${text}' is no variable; write -e NAME=VALUE`)
    const value = cut < 0 ? own[name] : text.slice(cut + 1)
    if (value !== undefined) environment[name] = value
  }
  return environment
}

/** One command from its opening to its exit code. */
class Session {
  readonly #context: Context
  readonly #conversation: Conversation
  readonly #bytes: Bytes
  readonly #terminal: Terminal | null
  readonly #named: boolean
  /** Why it is ended from here. */
  #ending: Failure | null = null
  #signals = 0

  constructor(
    context: Context,
    conversation: Conversation,
    bytes: Bytes,
    options: { readonly terminal: Terminal | null; readonly named: boolean },
  ) {
    this.#context = context
    this.#conversation = conversation
    this.#bytes = bytes
    this.#terminal = options.terminal
    this.#named = options.named
  }

  async run(opening: Uint8Array, stdin: boolean): Promise<number> {
    const stopWatching = this.#watch()
    try {
      await this.#conversation.send(opening)
      this.#terminal?.raw(true)
      void this.#sendInput(stdin)
      return await this.#hear()
    } finally {
      this.#terminal?.raw(false)
      stopWatching()
      this.#conversation.close()
    }
  }

  async #hear(): Promise<number> {
    try {
      for await (const message of this.#conversation.messages) {
        const heard = decodeHeard(message)
        if (heard.kind === 'stdout' || heard.kind === 'stderr')
          await this.#bytes.write(heard.kind, heard.bytes)
        else if (heard.kind === 'chosen') this.#tellChosen(heard)
        else if (heard.kind === 'missing') throw new Failure(NOT_FOUND, heard.message)
        else if (heard.kind === 'failed') throw new TuttiError(heard.code, heard.message)
        else if (heard.kind === 'exit') return exitCodeOf(heard)
      }
    } catch (thrown) {
      throw this.#ending ?? thrown
    }
    throw (
      this.#ending ?? new TuttiError('unreachable', 'lost the peer, and with it the command; see tutti peers')
    )
  }

  /** Said only where the choice was not the caller's: of several. */
  #tellChosen({
    slot,
    peer,
    running,
  }: {
    readonly slot: string
    readonly peer: string
    readonly running: number
  }): void {
    if (this.#named || running < 2) return
    const words = harmless(`in ${slot} on peer ${peer}, one of ${running} that run`)
    this.#context.io.stderr.write(`tutti: ${words}${this.#terminal === null ? '' : '\r'}\n`)
  }

  async #sendInput(stdin: boolean): Promise<void> {
    try {
      if (stdin) {
        for await (const bytes of this.#bytes.input) {
          for (let at = 0; at < bytes.length; at += DATA_BYTES_MAX)
            await this.#say({ kind: 'data', bytes: bytes.subarray(at, at + DATA_BYTES_MAX) })
        }
      }
      await this.#say({ kind: 'end' })
    } catch {
      // The command ended first, or the peer is gone: `#hear` says which.
    }
  }

  #say(said: Said): Promise<void> {
    return this.#conversation.send(encodeSaid(said))
  }

  /** Sizes, signals and the deadline, until the returned function is called. */
  #watch(): () => void {
    const quietly = (said: Said): void => void this.#say(said).catch(() => undefined)
    const end = (failure: Failure): void => {
      this.#ending ??= failure
      this.#conversation.close()
    }
    const terminal = this.#terminal
    const stopResizing = terminal?.onResize(() => quietly({ kind: 'resize', size: terminal.size() }))
    const stopSignals = this.#bytes.onSignal((signal) => {
      this.#signals += 1
      // In a terminal Ctrl-C is a byte; a signal to this process means that it is to end. So does a second one.
      if (terminal === null && this.#signals === 1) quietly({ kind: 'signal', signal })
      else end(new Failure(SIGNAL_BASE + numberOf(signal), `ended by ${signal}, and the command with it`))
    })
    const { timeoutMs } = this.#context
    const timer =
      timeoutMs === null
        ? undefined
        : setTimeout(
            () =>
              end(new Failure(EXIT.timeout, 'the command did not end before the --timeout and was ended')),
            timeoutMs,
          )
    return () => {
      stopResizing?.()
      stopSignals()
      clearTimeout(timer)
    }
  }
}

const numberOf = (signal: string): number =>
  Object.entries(constants.signals).find(([name]) => name === signal)?.[1] ?? 0

const exitCodeOf = (exit: { readonly code: number | null; readonly signal: string | null }): number =>
  exit.signal === null ? (exit.code ?? EXIT.failed) : SIGNAL_BASE + numberOf(exit.signal)
