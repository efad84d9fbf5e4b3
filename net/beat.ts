// The words of the `beat` channel, one byte each: a beat says "I live", a probe asks for one. They carry no id (the
// connection proves it) and no time (clocks differ); whatever else arrives there still proves that its sender lives.

/** `other`: a word of a newer version. */
export type BeatKind = 'beat' | 'probe' | 'other'

const BEAT = 1
const PROBE = 2

export const encodeBeat = (kind: Exclude<BeatKind, 'other'>): Uint8Array =>
  Uint8Array.of(kind === 'beat' ? BEAT : PROBE)

/** Never throws: a newer peer may say more than this one understands. */
export const decodeBeat = (bytes: Uint8Array): BeatKind => {
  if (bytes[0] === BEAT) return 'beat'
  return bytes[0] === PROBE ? 'probe' : 'other'
}
