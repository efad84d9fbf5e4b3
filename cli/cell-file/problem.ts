// What is wrong with a cell file: one sentence each, with the line and column it is about. All of them are collected, so
// that a person mends a file in one round. Also the nearest known word for a mistyped one.

import { closest, distance } from 'fastest-levenshtein'
import { TuttiError, type ErrorCode } from '../../lib/errors.ts'

/** 1-based, as editors count. */
export interface Place {
  readonly line: number
  readonly column: number
}

export interface Problem extends Place {
  readonly code: Extract<ErrorCode, 'invalid' | 'unsupported' | 'too-large'>
  readonly message: string
}

// More than a screen of problems has one cause; the first ones show it.
const PROBLEMS_SHOWN_MAX = 20

/** Collects problems and warnings while a file is read. */
export class Problems {
  readonly list: Problem[] = []
  readonly warnings: string[] = []

  /** The file holds something that is wrong. */
  invalid(place: Place, message: string): void {
    this.list.push({ line: place.line, column: place.column, code: 'invalid', message })
  }

  /** The file asks for something that this version cannot do. */
  unsupported(place: Place, message: string): void {
    this.list.push({ line: place.line, column: place.column, code: 'unsupported', message })
  }

  /** The file holds something that is allowed but does nothing. */
  warn(place: Place, message: string): void {
    const sentence = `line ${place.line}: ${message}`
    if (!this.warnings.includes(sentence)) this.warnings.push(sentence)
  }

  /** @throws TuttiError with every problem on a line of its own, as `FILE:LINE:COLUMN: sentence`. */
  throwAny(file: string): void {
    const sorted = this.list.toSorted((a, b) => a.line - b.line || a.column - b.column)
    const [first] = sorted
    if (first === undefined) return
    const lines = sorted
      .slice(0, PROBLEMS_SHOWN_MAX)
      .map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`)
    const hidden = sorted.length - lines.length
    if (hidden > 0) lines.push(`${file}: and ${hidden} more`)
    const worst = sorted.find(({ code }) => code !== 'unsupported') ?? first
    throw new TuttiError(worst.code, lines.join('\n'))
  }
}

/** `; did you mean X?` for the nearest of `known`, or nothing where none is near. */
export const suggestion = (word: string, known: readonly string[]): string => {
  if (known.length === 0) return ''
  const best = closest(word.toLowerCase(), known)
  // Two swapped letters count as two; in longer words a third of them mistyped is still a slip.
  const length = Math.max(word.length, best.length)
  const near = length <= 3 ? 1 : Math.max(2, Math.floor(length / 3))
  return distance(word.toLowerCase(), best) <= near ? `; did you mean ${best}?` : ''
}
