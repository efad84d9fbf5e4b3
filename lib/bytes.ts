// A small binary codec: varints and length-prefixed bytes, canonical (one encoding per value), every length checked
// against the input and against a limit before anything is allocated. Frames on disk and on the wire are built of it.

import { TuttiError } from './errors.ts'

// `fatal`: bytes that are not UTF-8 are an error, not replacement characters. `ignoreBOM`: a byte order mark stays in the
// text (by default it is dropped). So two inputs never decode to one text.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The bytes of a text. Short ones share memory with others, which takes a fifth of the time of memory of their own: whoever
 * keeps them for long keeps a copy.
 */
export const utf8 = (text: string): Uint8Array => {
  const bytes = Buffer.from(text, 'utf8')
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** How many bytes `utf8` makes of it, without making them. */
export const utf8Length = (text: string): number => Buffer.byteLength(text)

/** @throws TuttiError `invalid` when the bytes are not UTF-8. */
export const textOf = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new TuttiError('invalid', 'text is not valid UTF-8', { cause })
  }
}

export const toHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')

export const fromHex = (hex: string): Uint8Array => {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/.test(hex))
    throw new TuttiError('invalid', 'text is not lower-case hex')
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && Buffer.compare(a, b) === 0

export const concatBytes = (parts: readonly Uint8Array[]): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Of an integer up to 2^53-1, seven bits a byte. */
const VARINT_BYTES_MAX = 8

/** Most messages are a few hundred bytes, a thousand members' cursors some thousands; room doubles from there. */
const ROOM_BYTES = 4096
/** Room beyond this is given back: one long message must not be remembered for ever (S14). */
const SPARE_BYTES_MAX = 1024 * 1024

/** The room of the last message, for the next one: to allocate it costs more than to fill it. Null: a message is being written. */
let spare: Uint8Array<ArrayBuffer> | null = null

const NO_ROOM = new Uint8Array(0)

/** Builds one message, field after field. Finish it, or let go of it: its room is lent. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0

  constructor() {
    this.#bytes = spare ?? new Uint8Array(ROOM_BYTES)
    spare = null
  }

  /** An unsigned integer up to 2^53-1, seven bits a byte, low bits first. */
  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new TuttiError('invalid', `${value} is not an unsigned integer`)
    this.#makeRoom(VARINT_BYTES_MAX)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length] = (rest % 0x80) | 0x80
      this.#length += 1
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length] = rest
    this.#length += 1
    return this
  }

  /** Bytes with their length before them. */
  bytes(value: Uint8Array): this {
    this.varint(value.length)
    this.#makeRoom(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  text(value: string): this {
    return value.length < 0x80 && this.#shortAscii(value) ? this : this.bytes(utf8(value))
  }

  /** The whole message. Nothing is written after it. */
  finish(): Uint8Array {
    const message = this.#bytes.slice(0, this.#length)
    if (this.#bytes.length <= SPARE_BYTES_MAX) spare = this.#bytes
    this.#bytes = NO_ROOM
    this.#length = 0
    return message
  }

  /** Most texts are ids, which are written in place, each after the one byte of its length; false: this one is not ASCII. */
  #shortAscii(value: string): boolean {
    this.#makeRoom(1 + value.length)
    const from = this.#length + 1
    for (let at = 0; at < value.length; at += 1) {
      const unit = value.charCodeAt(at)
      if (unit >= 0x80) return false
      this.#bytes[from + at] = unit
    }
    this.#bytes[this.#length] = value.length
    this.#length = from + value.length
    return true
  }

  #makeRoom(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    const roomy = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
    roomy.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = roomy
  }
}

/** Reads one message, field after field; every method throws TuttiError `invalid` on truncated or non-canonical input. */
export class ByteReader {
  readonly #input: Uint8Array
  #at = 0

  constructor(input: Uint8Array) {
    this.#input = input
  }

  varint(): number {
    let value = 0
    let factor = 1
    for (let count = 0; count < VARINT_BYTES_MAX; count += 1) {
      const byte = this.#input[this.#at]
      if (byte === undefined) throw new TuttiError('invalid', 'message is truncated')
      this.#at += 1
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (byte === 0 && count > 0) throw new TuttiError('invalid', 'integer is not in its shortest form')
        if (!Number.isSafeInteger(value)) throw new TuttiError('invalid', 'integer is too large')
        return value
      }
      factor *= 0x80
    }
    throw new TuttiError('invalid', 'integer is too long')
  }

  /** A copy, which outlives the message. */
  bytes(lengthMax: number): Uint8Array {
    return this.view(lengthMax).slice()
  }

  /** The same without a copy, for what is looked at and let go: it is a part of the message, and holds on to all of it. */
  view(lengthMax: number): Uint8Array {
    const length = this.varint()
    if (length > lengthMax) throw new TuttiError('too-large', `field of ${length} bytes exceeds ${lengthMax}`)
    if (this.#at + length > this.#input.length) throw new TuttiError('invalid', 'message is truncated')
    const field = this.#input.subarray(this.#at, this.#at + length)
    this.#at += length
    return field
  }

  text(lengthMax: number): string {
    return textOf(this.view(lengthMax))
  }

  get done(): boolean {
    return this.#at === this.#input.length
  }

  /** @throws TuttiError `invalid` when bytes are left over. */
  end(): void {
    if (!this.done) throw new TuttiError('invalid', 'message has bytes left over')
  }
}
