// How things look: tables on a terminal and tab-separated lines when piped, colours where they are wanted, and text from
// elsewhere (names, reasons, log lines) made harmless before it reaches a terminal. Knows nothing of any command.

import type { Io, Sink } from './io.ts'

// ------------------------------------------------------------------------------------------------------ harmless text

// C0 (tab apart), DEL, C1, line separators and the bidirectional overrides of "Trojan Source" (CVE-2021-42574).
const HARMFUL =
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu // oxlint-disable-line no-control-regex

/** `text` with every control character replaced by a visible sign, so that no output can drive the terminal. */
export const harmless = (text: string): string =>
  text.replace(HARMFUL, (character) => {
    const code = character.codePointAt(0) ?? 0
    // Unicode's control pictures: ESC becomes U+241B.
    if (code < 0x20) return String.fromCodePoint(0x2400 + code)
    return code === 0x7f ? '\u2421' : '\ufffd'
  })

const NO_WIDTH = /^(?:\p{Mark}|[\u200b-\u200d\u2060])$/u
// East Asian Wide and Fullwidth (Unicode UAX #11), and what terminals draw as emoji.
const TWO_WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u

const widthOfCharacter = (character: string): number => {
  if (character >= ' ' && character <= '~') return 1
  if (NO_WIDTH.test(character)) return 0
  return TWO_WIDE.test(character) ? 2 : 1
}

/** Terminal columns that `text` takes; it must hold no escape sequences. */
export const widthOf = (text: string): number => {
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

/** `text` cut to at most `columns`, with an ellipsis where something was cut. */
export const fitted = (text: string, columns: number): string => {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let width = 0
  for (const character of text) {
    const next = widthOfCharacter(character)
    if (width + next > columns - 1) break
    kept += character
    width += next
  }
  return columns > 0 ? `${kept}…` : ''
}

// -------------------------------------------------------------------------------------------------------------- colour

export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan'

// SGR parameters (ECMA-48 §8.3.117): on, off.
const SGR: Readonly<Record<Colour, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
}

/** Paints text, or leaves it as it is where colours are not wanted. */
export type Paint = (colour: Colour | null, text: string) => string

/** `FORCE_COLOR` wins, then `NO_COLOR` (no-color.org), then whether a terminal that can is watching. */
export const wantsColour = (sink: Sink, environment: Io['environment']): boolean => {
  const force = environment['FORCE_COLOR']
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false'
  const never = environment['NO_COLOR']
  if (never !== undefined && never !== '') return false
  return sink.isTerminal && environment['TERM'] !== 'dumb'
}

export const paintFor = (sink: Sink, environment: Io['environment']): Paint => {
  if (!wantsColour(sink, environment)) return (_colour, text) => text
  return (colour, text) => {
    if (colour === null || text === '') return text
    const [on, off] = SGR[colour]
    return `\u001b[${on}m${text}\u001b[${off}m`
  }
}

const STATE_COLOURS: Readonly<Record<string, Colour>> = {
  ready: 'green',
  alive: 'green',
  starting: 'yellow',
  fetching: 'yellow',
  pending: 'yellow',
  draining: 'yellow',
  suspect: 'yellow',
  stopped: 'dim',
  left: 'dim',
  failing: 'red',
  crashed: 'red',
  unfulfilled: 'red',
  dead: 'red',
}

/** The colour of an instance's or a member's state. */
export const colourOfState = (state: string): Colour | null => STATE_COLOURS[state] ?? null

// --------------------------------------------------------------------------------------------------------------- tables

export interface Cell {
  readonly text: string
  readonly colour: Colour | null
}

/** One cell of a table; the text is made harmless by the table. */
export const cell = (text: string | number, colour: Colour | null = null): Cell => ({
  text: String(text),
  colour,
})

// Two spaces part columns, as kubectl and docker do.
const GAP = '  '

/**
 * A table as text, each line ended. On a terminal: aligned columns under a dim header, the last one cut to the width.
 * Elsewhere: tab-separated with the same header, nothing cut, tabs within cells as spaces.
 */
export const table = (
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  sink: Sink,
  paint: Paint,
): string => {
  const clean = rows.map((row) =>
    row.map(({ text, colour }) => ({ text: harmless(text).replaceAll('\t', ' '), colour })),
  )
  if (!sink.isTerminal) {
    const lines = [head, ...clean.map((row) => row.map(({ text, colour }) => paint(colour, text)))]
    return lines.map((line) => `${line.join('\t')}\n`).join('')
  }
  const widths = head.map((title, column) =>
    Math.max(widthOf(title), ...clean.map((row) => widthOf(row[column]?.text ?? ''))),
  )
  const line = (cells: readonly Cell[]): string => {
    let used = 0
    const parts = cells.map(({ text, colour }, column) => {
      const isLast = column === cells.length - 1
      const shown = isLast ? fitted(text, Math.max(8, sink.columns - used)) : text
      const width = widths[column] ?? 0
      used += width + GAP.length
      return paint(colour, shown) + (isLast ? '' : ' '.repeat(Math.max(0, width - widthOf(shown))))
    })
    return `${parts.join(GAP).trimEnd()}\n`
  }
  return [line(head.map((title) => cell(title, 'dim'))), ...clean.map(line)].join('')
}

/** The furthest moment that a Date can be, ECMA-262 §21.4.1.1; clocks of others can be anything. */
const DATE_MAX_MS = 8.64e15

/** Wall time in UTC. */
export const timeText = (at: number): string =>
  Math.abs(at) <= DATE_MAX_MS ? new Date(at).toISOString() : 'an unknown time'

/** `1 peer`, `3 peers`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** A digest or hash as people compare it: its first eight characters. */
export const short = (hash: string): string => hash.slice(0, 8)
