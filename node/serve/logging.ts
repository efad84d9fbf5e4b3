// The production log: JSON lines on stderr, or readable lines when stderr is a terminal. The only pino import of the
// project. It writes behind the caller's back and drops lines rather than wait (S15: a full pipe must never stop
// supervision); it deliberately opens no files and rotates nothing, that is the service manager's business.

import { isatty } from 'node:tty'
import { pino, type DestinationStream } from 'pino'
import { TuttiError } from '../../lib/errors.ts'
import type { Log, LogLevel } from '../../lib/log.ts'

export interface LoggingOptions {
  /** Lines below it are not written. @default 'info' */
  readonly level?: LogLevel
  /** Readable instead of JSON lines. @default whether stderr is a terminal */
  readonly pretty?: boolean
  /** Colours, for readable lines only. @default unless NO_COLOR is set */
  readonly colour?: boolean
  /** Where lines go instead of stderr, for tests. */
  readonly destination?: DestinationStream
}

export interface ClosableLog extends Log {
  /** Writes what is still buffered; call it last, before the process exits. */
  flush(): void
}

/** Lines waiting for a slow reader beyond this are dropped: two thousand lines, or a burst of stacks. */
const BUFFERED_BYTES_MAX = 1024 * 1024
/** Links of a cause chain that are printed; a longer one is a cycle or a bug. */
const CAUSES_MAX = 8
const STDERR = 2

/** Names of fields that never reach a log (S13), wherever a field's own member has one. */
const SECRET = ['secret', 'token', 'ticket', 'seed', 'authorization', 'environment']
const SECRET_PATHS = SECRET.flatMap((name) => [name, `*.${name}`])

interface PrintedError {
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: PrintedError
}

/**
 * An error with its causes, outermost first. Only bugs carry their stack: a TuttiError's sentence says what it is, a
 * stack would bury it.
 */
export const printedError = (thrown: unknown, depth = 1): PrintedError => {
  if (!(thrown instanceof Error)) return { message: String(thrown) }
  const code = thrown instanceof TuttiError ? thrown.code : 'code' in thrown ? String(thrown.code) : undefined
  const expected = thrown instanceof TuttiError ? thrown.code !== 'internal' : code !== undefined
  return {
    message: thrown.message,
    ...(code === undefined ? {} : { code }),
    ...(expected || thrown.stack === undefined ? {} : { stack: thrown.stack }),
    ...(thrown.cause === undefined || depth >= CAUSES_MAX
      ? {}
      : { cause: printedError(thrown.cause, depth + 1) }),
  }
}

const printable = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? printedError(value) : value]),
  )

interface Sink extends DestinationStream {
  flushSync?(): void
}

const readable = async (sink: Sink, options: LoggingOptions): Promise<DestinationStream> => {
  if (!(options.pretty ?? isatty(STDERR))) return sink
  // Loaded only for a terminal: under a service manager it would be memory for nothing.
  // By `default`: it is CommonJS, whose named exports a bundle does not have.
  const { default: pretty } = await import('pino-pretty')
  const prettify = pretty.prettyFactory({
    colorize: options.colour ?? process.env['NO_COLOR'] === undefined,
    messageKey: 'message',
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
  })
  return { write: (line) => sink.write(prettify(line) ?? line) }
}

/** The peer's log. Async because the readable form is loaded only when it is wanted. */
export const createLog = async (options: LoggingOptions = {}): Promise<ClosableLog> => {
  const sink: Sink =
    options.destination ?? pino.destination({ dest: STDERR, sync: false, maxLength: BUFFERED_BYTES_MAX })
  const destination = await readable(sink, options)
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '(secret)' },
    },
    destination,
  )
  return {
    log: (level, message, fields = {}) => {
      logger[level](printable(fields), message)
    },
    flush: () => {
      try {
        sink.flushSync?.()
      } catch {
        // Stderr is gone or was never opened: nobody is left to read the rest.
      }
    },
  }
}
