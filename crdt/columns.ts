// Column codecs of Automerge's change format (automerge.org/automerge-binary-format-spec, "Column Types"): LEB128
// integers, run-length and delta columns, boolean columns. Readers take the number of rows they may produce, so that a
// run of 2^50 costs nothing. Canonical form is not checked here: the change codec encodes again and compares.

import { TuttiError } from '../lib/errors.ts'
import { textOf, utf8 } from '../lib/bytes.ts'

/** Bytes under construction. */
export class ColumnWriter {
  #bytes = new Uint8Array(64)
  #length = 0

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length] = value
    this.#length += 1
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Unsigned LEB128. */
  unsigned(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  /** Signed LEB128. */
  signed(value: number): void {
    let rest = value
    for (;;) {
      const low = ((rest % 0x80) + 0x80) % 0x80
      rest = Math.floor(rest / 0x80)
      const last = (rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40)
      this.byte(last ? low : low | 0x80)
      if (last) return
    }
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more))
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}

/** Reads what ColumnWriter wrote; every method throws TuttiError `invalid` on truncated or oversized input. */
export class ColumnReader {
  readonly #input: Uint8Array
  #at = 0

  constructor(input: Uint8Array) {
    this.#input = input
  }

  get done(): boolean {
    return this.#at === this.#input.length
  }

  byte(): number {
    const byte = this.#input[this.#at]
    if (byte === undefined) throw new TuttiError('invalid', 'the change is truncated')
    this.#at += 1
    return byte
  }

  raw(length: number): Uint8Array {
    if (this.#at + length > this.#input.length) throw new TuttiError('invalid', 'the change is truncated')
    const bytes = this.#input.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  unsigned(): number {
    let value = 0
    let factor = 1
    // Eight groups of seven bits are the 53 bits of a safe integer, and a little more, which is refused below.
    for (let count = 0; count < 8; count += 1) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      factor *= 0x80
      if (byte < 0x80) return safe(value)
    }
    throw new TuttiError('invalid', 'the change holds an integer that is too long')
  }

  signed(): number {
    let value = 0
    let factor = 1
    for (let count = 0; count < 8; count += 1) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      factor *= 0x80
      if (byte < 0x80) return safe(byte >= 0x40 ? value - factor : value)
    }
    throw new TuttiError('invalid', 'the change holds an integer that is too long')
  }
}

const safe = (value: number): number => {
  if (!Number.isSafeInteger(value))
    throw new TuttiError('invalid', 'the change holds an integer that is too large')
  return value
}

type Cell = number | string | null

/** Runs of two and more equal values as (count, value), single ones gathered into literals (-count, values…), nulls as (0, count). */
const writeRuns = (cells: readonly Cell[], write: (to: ColumnWriter, value: Cell) => void): Uint8Array => {
  const to = new ColumnWriter()
  // A column of nothing but nulls is left out altogether.
  if (cells.every((cell) => cell === null)) return to.finish()
  let literal: Cell[] = []
  const flush = (): void => {
    if (literal.length === 0) return
    to.signed(-literal.length)
    for (const value of literal) write(to, value)
    literal = []
  }
  for (let at = 0; at < cells.length;) {
    const value = cells[at] ?? null
    let end = at + 1
    while (end < cells.length && cells[end] === value) end += 1
    const count = end - at
    if (value === null) {
      flush()
      to.signed(0)
      to.unsigned(count)
    } else if (count === 1) {
      literal.push(value)
    } else {
      flush()
      to.signed(count)
      write(to, value)
    }
    at = end
  }
  flush()
  return to.finish()
}

const readRuns = <T>(bytes: Uint8Array, rowsMax: number, read: (from: ColumnReader) => T): (T | null)[] => {
  const from = new ColumnReader(bytes)
  const cells: (T | null)[] = []
  const room = (count: number): number => {
    if (count <= 0 || cells.length + count > rowsMax)
      throw new TuttiError('invalid', 'a column of the change has more rows than it may')
    return count
  }
  while (!from.done) {
    const head = from.signed()
    if (head === 0) {
      for (let left = room(from.unsigned()); left > 0; left -= 1) cells.push(null)
    } else if (head < 0) {
      for (let left = room(-head); left > 0; left -= 1) cells.push(read(from))
    } else {
      const count = room(head)
      const value = read(from)
      for (let left = count; left > 0; left -= 1) cells.push(value)
    }
  }
  return cells
}

/** Run-length column of unsigned integers. */
export const writeIntegers = (cells: readonly (number | null)[]): Uint8Array =>
  writeRuns(cells, (to, value) => to.unsigned(Number(value)))

export const readIntegers = (bytes: Uint8Array, rowsMax: number): (number | null)[] =>
  readRuns(bytes, rowsMax, (from) => from.unsigned())

/** Run-length column of strings. */
export const writeStrings = (cells: readonly string[]): Uint8Array =>
  writeRuns(cells, (to, value) => {
    const bytes = utf8(String(value))
    to.unsigned(bytes.length)
    to.raw(bytes)
  })

export const readStrings = (bytes: Uint8Array, rowsMax: number): (string | null)[] =>
  readRuns(bytes, rowsMax, (from) => textOf(from.raw(from.unsigned())))

/** Run-length column of the differences between neighbours, the first one's to zero. */
export const writeDeltas = (cells: readonly number[]): Uint8Array =>
  writeRuns(
    cells.map((value, at) => value - (cells[at - 1] ?? 0)),
    (to, value) => to.signed(Number(value)),
  )

export const readDeltas = (bytes: Uint8Array, rowsMax: number): number[] => {
  let sum = 0
  return readRuns(bytes, rowsMax, (from) => from.signed()).map((delta) => {
    if (delta === null) throw new TuttiError('invalid', 'a delta column of the change holds a null')
    sum = safe(sum + delta)
    return sum
  })
}
