// What all commands of the tree share: the options that name a peer, the example after the help, readers of option values,
// and how an action's exit code gets out of commander, which has no results of its own.

import { Option, type Command, type OptionValues } from 'commander'
import { messageOf } from '../../lib/errors.ts'
import { parseDuration, parseSize } from '../../lib/time.ts'
import { UsageError } from '../exit.ts'
import type { Context, Io } from '../io.ts'

/** Options that every command shares, as commander gives them. */
interface Shared {
  readonly peer?: string
  readonly token?: string
  readonly json?: boolean
  readonly timeout?: number
  readonly message?: string
  readonly ifDigest?: string
}

/** A duration as an option's value, in milliseconds. @throws UsageError. */
export const duration = (text: string): number => {
  try {
    return parseDuration(text)
  } catch (thrown) {
    throw new UsageError(messageOf(thrown), { cause: thrown })
  }
}

/** A size as an option's value, in bytes. @throws UsageError. */
export const size = (text: string): number => {
  try {
    return parseSize(text)
  } catch (thrown) {
    throw new UsageError(messageOf(thrown), { cause: thrown })
  }
}

// A date with a time zone, or without a time: what Date reads alike everywhere.
const DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/

/** A duration before now, or a date, as an option's value: wall time in milliseconds. @throws UsageError. */
export const moment = (text: string): number => {
  const at = DATE.test(text) ? Date.parse(text) : NaN
  if (!Number.isNaN(at)) return Math.max(0, at)
  if (/^\d+(-|$)/.test(text) && text !== '0') {
    throw new UsageError(`'${text}' is no time; write for example 10m, 2031-05-04 or 2031-05-04T10:00:00Z`)
  }
  return Math.max(0, Date.now() - duration(text))
}

/** A whole number as an option's value. The reader throws UsageError. */
export const whole =
  (minimum: number, maximum: number) =>
  (text: string): number => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : NaN
    if (number >= minimum && number <= maximum) return number
    throw new UsageError(`'${text}' is not a whole number from ${minimum} to ${maximum}`)
  }

/** As the API takes a message. */
const MESSAGE_LENGTH_MAX = 500

const message = (text: string): string => {
  if (text.trim() !== '' && text.length <= MESSAGE_LENGTH_MAX) return text
  throw new UsageError(`a message has 1 to ${MESSAGE_LENGTH_MAX} characters`)
}

const digest = (text: string): string => {
  if (/^[0-9a-f]{8,64}$/.test(text)) return text
  throw new UsageError(`'${text}' is no digest; write the eight or more characters that tutti status shows`)
}

/** The shared options of a command and of those it is under; the nearest wins. @throws UsageError. */
const sharedOf = (command: Command): Shared => {
  let shared: Shared = {}
  for (let at: Command | null = command; at !== null; at = at.parent) {
    const above: Shared = at.opts<Shared>()
    if (at.parent === null) requireKnown(command, above)
    shared = { ...above, ...shared }
  }
  return shared
}

/** Refuses what was given before a command that has no use for it, as it is refused behind it. */
const requireKnown = (command: Command, given: Shared): void => {
  // Completion asks with any words.
  if (command.name().startsWith('_')) return
  for (const name of ['peer', 'token', 'json'] as const) {
    if (given[name] === undefined || command.options.some(({ long }) => long === `--${name}`)) continue
    throw new UsageError(
      `tutti ${command.name()} takes no option --${name}; see tutti ${command.name()} --help`,
    )
  }
}

export class Frame {
  readonly #io: Io
  /** The exit code of the action that ran. */
  code = 0

  constructor(io: Io) {
    this.#io = io
  }

  /** Adds an example under the command's help. */
  example(command: Command, example: string): Command {
    return command.addHelpText('after', `\nExample:\n  $ ${example}`)
  }

  /** Adds the options that say which peer to ask, and how to answer. */
  sharesPeer(command: Command): Command {
    return this.#namesPeer(command).option('--json', 'one JSON value on stdout, messages on stderr')
  }

  #namesPeer(command: Command): Command {
    return command
      .option('--peer <socket|url>', "the peer to ask (default: $TUTTI_PEER, else this machine's)")
      .option('--token <token>', 'bearer token of a peer asked by URL (default: $TUTTI_TOKEN)')
  }

  /** Adds the options of every command that asks a peer, and an example. */
  asks(command: Command, example: string, options: { readonly waits?: boolean } = {}): Command {
    this.sharesPeer(command)
    return this.example(options.waits === true ? this.#waits(command) : command, example)
  }

  /** The same for a command that edits: it may say why, and on what state it counts. */
  edits(command: Command, example: string, options: { readonly waits?: boolean } = {}): Command {
    command
      .addOption(new Option('-m, --message <why>', 'what tutti history shows of it').argParser(message))
      .addOption(
        new Option(
          '--if-digest <digest>',
          'only if the intent still has this digest, else exit with 3',
        ).argParser(digest),
      )
    return this.asks(command, example, options)
  }

  /** The same for a command whose output is another program's: there is no JSON of it. */
  carries(command: Command, example: string): Command {
    return this.example(this.#waits(this.#namesPeer(command)), example)
  }

  #waits(command: Command): Command {
    return command.addOption(
      new Option('--timeout <duration>', 'how long to wait, as in 90s or 5m').argParser(duration),
    )
  }

  /** Gives the command its action: it is handed the context, the command's own options and its arguments. */
  does<O extends OptionValues>(
    command: Command,
    act: (context: Context, options: O, args: readonly string[]) => Promise<number>,
  ): void {
    command.action(async () => {
      this.code = await act(this.#contextOf(command), command.opts<O>(), command.args)
    })
  }

  #contextOf(command: Command): Context {
    const shared = sharedOf(command)
    const token = shared.token ?? this.#io.environment['TUTTI_TOKEN'] ?? ''
    return {
      io: this.#io,
      peer: shared.peer ?? null,
      token: token === '' ? null : token,
      json: shared.json === true,
      timeoutMs: shared.timeout ?? null,
      message: shared.message ?? null,
      ifDigest: shared.ifDigest ?? null,
    }
  }
}
