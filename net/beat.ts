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

export const encodeBeat = (kind: 'beat' | 'probe', extraMs = 0): Uint8Array =>
  Uint8Array.of(kind === 'beat' ? BEAT : PROBE, Math.min(UNITS_MAX, Math.ceil(extraMs / UNIT_MS)))

/** Never throws: an older peer says less, a newer one more than this one understands. */
export const decodeBeat = (bytes: Uint8Array): Beat => {
  const extraMs = (bytes[1] ?? 0) * UNIT_MS
  if (bytes[0] === BEAT) return { kind: 'beat', extraMs }
  return bytes[0] === PROBE ? { kind: 'probe', extraMs } : { kind: 'other', extraMs: 0 }
}
