// How an exec travels, the same from the command line to its peer (one WebSocket message each) and from there to the peer
// that has the instance (one part each): a first byte that says what it is, then its content. The opening, which comes
// before all else, is JSON (contract.ts). Values in, values out; light, since the command line loads it.

import { ByteReader, ByteWriter, concatBytes, textOf, utf8 } from '../../../lib/bytes.ts'
import { unreachable } from '../../../lib/assert.ts'
import { ERROR_CODES, TuttiError, type ErrorCode } from '../../../lib/errors.ts'

/** What the caller says after the opening. Sizes are in characters. */
export type Said =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'resize'; readonly size: { readonly columns: number; readonly rows: number } }
  | { readonly kind: 'signal'; readonly signal: string }

/** What the caller hears. `chosen` comes first; `exit`, `missing` or `failed` comes last. */
export type Heard =
  | { readonly kind: 'chosen'; readonly slot: string; readonly peer: string; readonly running: number }
  | { readonly kind: 'stdout' | 'stderr'; readonly bytes: Uint8Array }
  | { readonly kind: 'exit'; readonly code: number | null; readonly signal: string | null }
  /** There is no such command where the instance runs. */
  | { readonly kind: 'missing'; readonly message: string }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }

/** Data in one message of the caller at most; a stream may give more at a time. */
export const DATA_BYTES_MAX = 64 * 1024
/** The longest message of the caller. */
export const MESSAGE_BYTES_MAX = DATA_BYTES_MAX + 1
/** The opening: a command line and variables as a person or a script writes them. */
export const OPENING_BYTES_MAX = 48 * 1024
const NAME_BYTES_MAX = 400
const SENTENCE_BYTES_MAX = 4000
/** No terminal is larger; the kernel keeps sixteen bits. */
const SIDE_MAX = 65_535

const SAID = { data: 0, end: 1, resize: 2, signal: 3 } as const
/** The kind of an empty message: none. */
const NOTHING = -1
const HEARD = { chosen: 0, stdout: 1, stderr: 2, exit: 3, missing: 4, failed: 5 } as const

const message = (kind: number, content: Uint8Array): Uint8Array => concatBytes([Uint8Array.of(kind), content])

const malformed = (): TuttiError => new TuttiError('invalid', 'a message of an exec is malformed')

export const encodeSaid = (said: Said): Uint8Array => {
  const writer = new ByteWriter()
  switch (said.kind) {
    case 'data':
      return message(SAID.data, said.bytes)
    case 'end':
      return message(SAID.end, new Uint8Array())
    case 'resize':
      return message(SAID.resize, writer.varint(said.size.columns).varint(said.size.rows).finish())
    case 'signal':
      return message(SAID.signal, writer.text(said.signal).finish())
    default:
      return unreachable(said)
  }
}

/** @throws TuttiError `invalid` or `too-large`. */
export const decodeSaid = (bytes: Uint8Array): Said => {
  const content = bytes.subarray(1)
  if (bytes[0] === SAID.data) return { kind: 'data', bytes: content }
  const reader = new ByteReader(content)
  const said = ((): Said => {
    switch (bytes[0] ?? NOTHING) {
      case SAID.end:
        return { kind: 'end' }
      case SAID.resize:
        return { kind: 'resize', size: { columns: side(reader.varint()), rows: side(reader.varint()) } }
      case SAID.signal:
        return { kind: 'signal', signal: reader.text(NAME_BYTES_MAX) }
      default:
        throw malformed()
    }
  })()
  reader.end()
  return said
}

const side = (value: number): number => Math.min(Math.max(value, 1), SIDE_MAX)

export const encodeHeard = (heard: Heard): Uint8Array => {
  const writer = new ByteWriter()
  switch (heard.kind) {
    case 'chosen':
      return message(HEARD.chosen, writer.text(heard.slot).text(heard.peer).varint(heard.running).finish())
    case 'stdout':
      return message(HEARD.stdout, heard.bytes)
    case 'stderr':
      return message(HEARD.stderr, heard.bytes)
    case 'exit': {
      // One more than the code, so that 0 says that there is none.
      const code = heard.code === null ? 0 : heard.code + 1
      return message(
        HEARD.exit,
        writer
          .varint(code)
          .text(heard.signal ?? '')
          .finish(),
      )
    }
    case 'missing':
      return message(HEARD.missing, writer.text(cut(heard.message)).finish())
    case 'failed':
      return message(HEARD.failed, writer.text(heard.code).text(cut(heard.message)).finish())
    default:
      return unreachable(heard)
  }
}

const cut = (sentence: string): string => {
  const bytes = utf8(sentence)
  return bytes.length <= SENTENCE_BYTES_MAX ? sentence : sentence.slice(0, SENTENCE_BYTES_MAX / 4)
}

/** @throws TuttiError `invalid` or `too-large`. */
export const decodeHeard = (bytes: Uint8Array): Heard => {
  const content = bytes.subarray(1)
  if (bytes[0] === HEARD.stdout) return { kind: 'stdout', bytes: content }
  if (bytes[0] === HEARD.stderr) return { kind: 'stderr', bytes: content }
  const reader = new ByteReader(content)
  const heard = ((): Heard => {
    switch (bytes[0] ?? NOTHING) {
      case HEARD.chosen: {
        const [slot, peer] = [reader.text(NAME_BYTES_MAX), reader.text(NAME_BYTES_MAX)]
        return { kind: 'chosen', slot, peer, running: reader.varint() }
      }
      case HEARD.exit: {
        const [code, signal] = [reader.varint(), reader.text(NAME_BYTES_MAX)]
        return { kind: 'exit', code: code === 0 ? null : code - 1, signal: signal === '' ? null : signal }
      }
      case HEARD.missing:
        return { kind: 'missing', message: reader.text(SENTENCE_BYTES_MAX) }
      case HEARD.failed: {
        const code = reader.text(NAME_BYTES_MAX)
        return {
          kind: 'failed',
          code: isErrorCode(code) ? code : 'internal',
          message: reader.text(SENTENCE_BYTES_MAX),
        }
      }
      default:
        throw malformed()
    }
  })()
  reader.end()
  return heard
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code)

/** The opening of a conversation as the message that it is. */
export const encodeOpening = (opening: unknown): Uint8Array => utf8(JSON.stringify(opening))

/** Any JSON; what it must be is for the reader to check. @throws TuttiError `invalid` or `too-large`. */
export const decodeOpening = (bytes: Uint8Array): unknown => {
  if (bytes.length > OPENING_BYTES_MAX)
    throw new TuttiError('too-large', `the command and its variables exceed ${OPENING_BYTES_MAX / 1024} KiB`)
  try {
    return JSON.parse(textOf(bytes)) as unknown
  } catch (cause) {
    throw new TuttiError('invalid', 'the opening of an exec is not JSON', { cause })
  }
}
