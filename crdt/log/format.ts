// The bytes of a log: a file header, then frames. Pure, so that the real disk and the simulated one meet torn and flipped
// bytes in the very same code. It tells a torn tail (an unfinished write, nothing acknowledged in it) from a corrupt
// stretch (bytes that were durable once), and finds the frames behind one again. It knows neither files nor what a
// record means: records are signed and prove themselves, so a frame saved from behind damage can do no harm.
//
// header  `tutti` · role letter · version u16 · checksum u32                                   (little-endian throughout)
// frame   marker 3 · checksum u32 · kind u8 · payload length u32 · distance to its group u32 · payload
//
// - Checksum: the first 4 bytes of SHA-256 over all that follows it, xor a mix of the frame's own offset. A flipped bit,
//   length included, passes once in 2^32, and then the record's signature still fails; a frame is valid only where it was
//   written, so neither a stale disk block nor a frame quoted inside a payload is taken for one. SHA-256 rather than a CRC
//   since lib has it, and at some 2 µs a record it is a hundredth of the fdatasync that follows.
// - Group: the frames of one write. A group is written only after all before it is durable. Hence bytes that are bad
//   before a later group's start were acknowledged once (corrupt); bad bytes within the last group were not (torn).

import { concatBytes, sameBytes } from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'
import { mix32, sha256Word } from '../../lib/hash.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Frame, FrameKind } from '../store.ts'

/** Rises whenever an older tutti could misread the file. */
export const FORMAT_VERSION = 1
export const FILE_HEADER_BYTES = 12
export const FRAME_HEADER_BYTES = 16
/** One record: what a message between peers can carry, so whatever arrived can be stored. */
export const FRAME_BYTES_MAX = LIMITS.messageBytesMax

const MAGIC = Uint8Array.from([0x74, 0x75, 0x74, 0x74, 0x69])
// Three bytes that occur in no UTF-8 text, so that a search for the next frame seldom stops in a payload.
const MARKER_FIRST = 0xf5
const MARKER = Uint8Array.from([MARKER_FIRST, 0xc1, 0xff])
const CHECKSUM_AT = MARKER.length
const COVERED_AT = CHECKSUM_AT + 4
/**
 * What a search for frames behind damage may hash. Ordinary files need a hundredth; a file full of markers with large
 * lengths, which only malice makes, would need quadratic time, and its rest counts as corrupt instead.
 */
const SEARCH_HASHED_BYTES_MAX = 256 * 1024 * 1024

/** `L`: a log segment; `S`: a snapshot. In the header, so that a renamed file is not taken for the other kind. */
export type FileRole = 'L' | 'S'

/** Numbers on disk. Never reuse one. 3 and 4 occur in snapshots only. */
export const KIND = { intent: 1, status: 2, document: 3, end: 4 } as const

/** One frame as it lies in the file. */
export interface RawFrame {
  readonly kind: number
  readonly payload: Uint8Array
  /** Where its group began: everything before was durable when it was written. */
  readonly groupAt: number
  readonly end: number
}

/** A stretch of a log that holds no valid frame. */
export interface LogDamage {
  /** torn: an unfinished write. corrupt: was durable once. header: the file's first bytes. */
  readonly kind: 'torn' | 'corrupt' | 'header'
  readonly from: number
  readonly to: number
  /** How many valid frames lie before it. */
  readonly framesBefore: number
}

export interface DecodedLog {
  /** What the header says; null when the header is damaged. Frames of a version above FORMAT_VERSION are not read. */
  readonly version: number | null
  /** Every valid frame in order, also those behind damage. */
  readonly frames: readonly Frame[]
  /** Offset behind the last valid frame. */
  readonly end: number
  /** In file order; empty for an intact log. The first one's `from` is where the valid prefix ends. */
  readonly damage: readonly LogDamage[]
}

const checksumOf = (covered: Uint8Array, at: number): number => (sha256Word(covered) ^ mix32(at)) >>> 0

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

export const encodeHeader = (role: FileRole, version: number = FORMAT_VERSION): Uint8Array => {
  const header = new Uint8Array(FILE_HEADER_BYTES)
  const view = viewOf(header)
  header.set(MAGIC)
  header[MAGIC.length] = role.charCodeAt(0)
  view.setUint16(MAGIC.length + 1, version, true)
  view.setUint32(FILE_HEADER_BYTES - 4, checksumOf(header.subarray(0, FILE_HEADER_BYTES - 4), 0), true)
  return header
}

/** The header's version, or null when it is not the header of a file in that role. */
export const decodeHeader = (input: Uint8Array, role: FileRole): number | null => {
  if (input.length < FILE_HEADER_BYTES) return null
  const version = viewOf(input).getUint16(MAGIC.length + 1, true)
  return sameBytes(input.subarray(0, FILE_HEADER_BYTES), encodeHeader(role, version)) ? version : null
}

const encodeFrame = (kind: number, payload: Uint8Array, at: number, groupAt: number): Uint8Array => {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.length)
  const view = viewOf(frame)
  frame.set(MARKER)
  view.setUint8(COVERED_AT, kind)
  view.setUint32(COVERED_AT + 1, payload.length, true)
  view.setUint32(COVERED_AT + 5, at - groupAt, true)
  frame.set(payload, FRAME_HEADER_BYTES)
  view.setUint32(CHECKSUM_AT, checksumOf(frame.subarray(COVERED_AT), at), true)
  return frame
}

/** One group of raw frames, to be written at offset `at` of a file and nowhere else. */
export const encodeGroup = (
  entries: readonly { readonly kind: number; readonly payload: Uint8Array }[],
  at: number,
): Uint8Array => {
  const parts: Uint8Array[] = []
  let offset = at
  for (const { kind, payload } of entries) {
    parts.push(encodeFrame(kind, payload, offset, at))
    offset += FRAME_HEADER_BYTES + payload.length
  }
  return concatBytes(parts)
}

/** One group of records, to be written at offset `at`. @throws TuttiError `too-large` when a record exceeds FRAME_BYTES_MAX. */
export const encodeFrames = (frames: readonly Frame[], at: number): Uint8Array => {
  for (const { bytes } of frames) {
    if (bytes.length > FRAME_BYTES_MAX)
      throw new TuttiError(
        'too-large',
        `a record of ${bytes.length} bytes exceeds the ${FRAME_BYTES_MAX} of the log`,
      )
  }
  return encodeGroup(
    frames.map(({ kind, bytes }) => ({ kind: KIND[kind], payload: bytes })),
    at,
  )
}

const startsWithMarker = (input: Uint8Array, at: number): boolean =>
  MARKER.every((byte, index) => input[at + index] === byte)

/** The valid frame at offset `at`, or null. Its payload shares the input's memory. */
export const readFrame = (input: Uint8Array, at: number, payloadBytesMax: number): RawFrame | null => {
  const payloadAt = at + FRAME_HEADER_BYTES
  if (payloadAt > input.length || !startsWithMarker(input, at)) return null
  const view = viewOf(input)
  const length = view.getUint32(at + COVERED_AT + 1, true)
  const distance = view.getUint32(at + COVERED_AT + 5, true)
  if (length > payloadBytesMax || payloadAt + length > input.length) return null
  if (distance > at - FILE_HEADER_BYTES) return null
  const covered = input.subarray(at + COVERED_AT, payloadAt + length)
  if (checksumOf(covered, at) !== view.getUint32(at + CHECKSUM_AT, true)) return null
  return {
    kind: view.getUint8(at + COVERED_AT),
    payload: input.subarray(payloadAt, payloadAt + length),
    groupAt: at - distance,
    end: payloadAt + length,
  }
}

/** The kind of record a frame holds, or null for kinds that are none. */
export const recordKindOf = (kind: number): FrameKind | null =>
  kind === KIND.intent ? 'intent' : kind === KIND.status ? 'status' : null

interface Gap {
  readonly from: number
  to: number
  readonly framesBefore: number
}

/** Reads a log segment as far as it can be read. Never throws: any bytes at all are some log. */
export const decodeLog = (input: Uint8Array): DecodedLog => {
  const version = decodeHeader(input, 'L')
  if (version !== null && version > FORMAT_VERSION)
    return { version, frames: [], end: FILE_HEADER_BYTES, damage: [] }
  const frames: Frame[] = []
  const gaps: Gap[] = []
  let end = Math.min(FILE_HEADER_BYTES, input.length)
  let lastGroupAt = 0
  let gap: Gap | null = null
  let searchBytesLeft = SEARCH_HASHED_BYTES_MAX
  for (let at = end; at < input.length;) {
    const raw = readFrame(input, at, FRAME_BYTES_MAX)
    const kind = raw === null ? null : recordKindOf(raw.kind)
    if (raw !== null && kind !== null) {
      frames.push({ kind, bytes: raw.payload })
      gap = null
      end = raw.end
      lastGroupAt = Math.max(lastGroupAt, raw.groupAt)
      at = raw.end
      continue
    }
    if (gap === null) gaps.push((gap = { from: at, to: at, framesBefore: frames.length }))
    searchBytesLeft -= claimedLength(input, at)
    at = searchBytesLeft > 0 ? nextMarker(input, at + 1) : input.length
    gap.to = at
  }
  const damage: LogDamage[] = gaps.map(({ from, to, framesBefore }) => ({
    kind: lastGroupAt > from ? 'corrupt' : 'torn',
    from,
    to,
    framesBefore,
  }))
  if (version === null) {
    damage.unshift({
      kind: 'header',
      from: 0,
      to: Math.min(FILE_HEADER_BYTES, input.length),
      framesBefore: 0,
    })
  }
  return { version, frames, end, damage }
}

/** What looking for a frame at `at` may have hashed: nothing unless its length is plausible. */
const claimedLength = (input: Uint8Array, at: number): number => {
  if (at + FRAME_HEADER_BYTES > input.length || !startsWithMarker(input, at)) return 0
  const length = viewOf(input).getUint32(at + COVERED_AT + 1, true)
  return length > FRAME_BYTES_MAX || at + FRAME_HEADER_BYTES + length > input.length ? 0 : length
}

const nextMarker = (input: Uint8Array, from: number): number => {
  for (let at = input.indexOf(MARKER_FIRST, from); at >= 0; at = input.indexOf(MARKER_FIRST, at + 1)) {
    if (startsWithMarker(input, at)) return at
  }
  return input.length
}
