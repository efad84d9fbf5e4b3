// The Clock port and the words for durations. Decisions use monotonic milliseconds only; wall time is for display and
// for what leaves the machine. The simulator brings its own Clock, so nothing below reads a real one.

import { TuttiError } from './errors.ts'

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back. May have a fraction. */
  now(): number
  /** Whole milliseconds since the Unix epoch, as the machine believes. For display only. */
  wall(): number
  /**
   * Runs `fire` once after `delayMs`; the returned function cancels it. 0: as soon as whatever else is ready has had its
   * turn, which is how long work gives way.
   */
  after(delayMs: number, fire: () => void): () => void
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `500ms`, `5s`, `1m30s`, `2h` as milliseconds; a bare `0` is allowed. @throws TuttiError `invalid`. */
export const parseDuration = (text: string): number => {
  if (text === '0') return 0
  const malformed = new TuttiError(
    'invalid',
    `'${text}' is not a duration; write for example 500ms, 5s, 1m or 2h`,
  )
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) throw malformed
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (UNITS_MS[unit ?? ''] ?? 0)
  }
  if (!Number.isSafeInteger(Math.round(total))) throw malformed
  return Math.round(total)
}

/** A duration for people: `350ms`, `4.2s`, `3m10s`, `5h`, `2d`. */
export const formatDuration = (durationMs: number): string => {
  if (Math.round(durationMs) < 1000) return `${Math.round(durationMs)}ms`
  if (durationMs < 10_000) return `${Math.round(durationMs / 100) / 10}s`
  const seconds = Math.round(durationMs / 1000)
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600)
    return seconds % 60 === 0 ? `${seconds / 60}m` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
  const minutes = Math.floor(seconds / 60)
  if (seconds < 172_800)
    return minutes % 60 === 0 ? `${minutes / 60}h` : `${Math.floor(minutes / 60)}h${minutes % 60}m`
  return `${Math.floor(seconds / 86_400)}d`
}

const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
}

/** `64M`, `1G`, `512k`, `1024` as bytes (powers of 1024, as Compose reads them). @throws TuttiError `invalid`. */
export const parseSize = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text)
  const unit = SIZES[(match?.[2] ?? '').toLowerCase()]
  const bytes = match === null || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit)
  if (!Number.isSafeInteger(bytes)) {
    throw new TuttiError('invalid', `'${text}' is not a size; write for example 64M or 1G`)
  }
  return bytes
}

/** Sizes are said to a tenth of their unit: from 1023.95 on, 1024 would be said. */
const ROUNDED_UP = 20 * 1024

/** A size for people: `64M`, `1.5G`. */
export const formatSize = (bytes: number): string => {
  for (const [unit, size] of [
    ['T', 1024 ** 4],
    ['G', 1024 ** 3],
    ['M', 1024 ** 2],
    ['K', 1024],
  ] as const) {
    // What would be rounded to 1024 of a unit is 1 of the next.
    if (bytes >= size - size / ROUNDED_UP) return `${Math.round((bytes / size) * 10) / 10}${unit}`
  }
  return `${bytes}`
}
