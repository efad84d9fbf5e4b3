// The words of the `beat` channel, two bytes each: a beat says "I live", a probe asks for one, and both say how much more
// patience than usual their sender asks for (slowness.ts). They carry no id (the connection proves it) and no time
// (clocks differ); whatever else arrives there still proves that its sender lives.

export interface Beat {
  /** `other`: a word of a newer version. */
  readonly kind: 'beat' | 'probe' | 'other'
  /** Patience asked for beyond the usual, milliseconds; 0 where nothing is said. */
  readonly extraMs: number
}

const BEAT = 1
const PROBE = 2
/** One byte of tenths of a second reaches to 25 s, more than anybody is granted. */
const UNIT_MS = 100
const UNITS_MAX = 255

/** Words that were said before, by their first byte and units: nearly always one of two. Nobody changes a message. */
const said = new Map<number, Uint8Array>()

export const encodeBeat = (kind: 'beat' | 'probe', extraMs = 0): Uint8Array => {
  const word = kind === 'beat' ? BEAT : PROBE
  const units = Math.min(UNITS_MAX, Math.ceil(extraMs / UNIT_MS))
  const key = (word << 8) | units
  const known = said.get(key)
  if (known !== undefined) return known
  const bytes = Uint8Array.of(word, units)
  said.set(key, bytes)
  return bytes
}

/** Never throws: an older peer says less, a newer one more than this one understands. */
export const decodeBeat = (bytes: Uint8Array): Beat => {
  const extraMs = (bytes[1] ?? 0) * UNIT_MS
  if (bytes[0] === BEAT) return { kind: 'beat', extraMs }
  return bytes[0] === PROBE ? { kind: 'probe', extraMs } : { kind: 'other', extraMs: 0 }
}
