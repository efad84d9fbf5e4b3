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

/** How many bytes a text has. */
export const utf8Length = (text: string): number => Buffer.byteLength(text, 'utf8')

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

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false
  return true
}

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

/** Lengths, kinds and counts are mostly small: their byte is made once. */
const SMALL: readonly Uint8Array[] = Array.from({ length: 0x80 }, (_, value) => Uint8Array.of(value))

/** Builds one message, field after field. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = []

  /** An unsigned integer up to 2^53-1, seven bits a byte, low bits first. */
  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new TuttiError('invalid', `${value} is not an unsigned integer`)
    const small = SMALL[value]
    if (small !== undefined) {
      this.#parts.push(small)
      return this
    }
    const bytes: number[] = []
    let rest = value
    while (rest >= 0x80) {
      bytes.push((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    bytes.push(rest)
    this.#parts.push(Uint8Array.from(bytes))
    return this
  }

  /** Bytes with their length before them. */
  bytes(value: Uint8Array): this {
    this.varint(value.length)
    this.#parts.push(value)
    return this
  }

  text(value: string): this {
    return this.bytes(utf8(value))
  }

  finish(): Uint8Array {
    return concatBytes(this.#parts)
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
    for (let count = 0; count < 8; count += 1) {
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

  bytes(lengthMax: number): Uint8Array {
    const length = this.varint()
    if (length > lengthMax) throw new TuttiError('too-large', `field of ${length} bytes exceeds ${lengthMax}`)
    if (this.#at + length > this.#input.length) throw new TuttiError('invalid', 'message is truncated')
    const value = this.#input.slice(this.#at, this.#at + length)
    this.#at += length
    return value
  }

  text(lengthMax: number): string {
    return textOf(this.bytes(lengthMax))
  }

  get done(): boolean {
    return this.#at === this.#input.length
  }

  /** @throws TuttiError `invalid` when bytes are left over. */
  end(): void {
    if (!this.done) throw new TuttiError('invalid', 'message has bytes left over')
  }
}
