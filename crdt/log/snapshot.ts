// The bytes of a snapshot: the log's header and frames, one for the document, one per record, and an end frame with the
// full SHA-256 of everything before it. All or nothing: a document cannot be read in part, and the store keeps the
// snapshot before it and the log since, so salvaging from a damaged one would only add doubt.

import { concatBytes, sameBytes } from '../../lib/bytes.ts'
import { sha256 } from '../../lib/hash.ts'
import type { Frame, Snapshot } from '../store.ts'
import {
  decodeHeader,
  encodeGroup,
  encodeHeader,
  FILE_HEADER_BYTES,
  FORMAT_VERSION,
  KIND,
  readFrame,
  recordKindOf,
} from './format.ts'

/** A document of ten thousand services is some 2 MB; what one buffer and one read can hold is the only bound. */
const DOCUMENT_BYTES_MAX = 1024 * 1024 * 1024

export type DecodedSnapshot =
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'damaged'; readonly reason: string }
  | { readonly kind: 'newer'; readonly version: number }

/** A whole snapshot file. */
export const encodeSnapshot = (snapshot: Snapshot): Uint8Array => {
  const body = encodeGroup(
    [
      { kind: KIND.document, payload: snapshot.document },
      ...snapshot.frames.map(({ kind, bytes }) => ({ kind: KIND[kind], payload: bytes })),
    ],
    FILE_HEADER_BYTES,
  )
  const whole = concatBytes([encodeHeader('S'), body])
  return concatBytes([whole, encodeGroup([{ kind: KIND.end, payload: sha256(whole) }], whole.length)])
}

const damaged = (reason: string): DecodedSnapshot => ({ kind: 'damaged', reason })

/** Reads a snapshot file. Never throws. */
export const decodeSnapshot = (input: Uint8Array): DecodedSnapshot => {
  if (input.length === 0) return damaged('it is empty')
  const version = decodeHeader(input, 'S')
  if (version === null) return damaged('its header is unreadable')
  if (version > FORMAT_VERSION) return { kind: 'newer', version }
  let document: Uint8Array | null = null
  const frames: Frame[] = []
  for (let at = FILE_HEADER_BYTES; at < input.length;) {
    const raw = readFrame(input, at, DOCUMENT_BYTES_MAX)
    if (raw === null) return damaged(`it is unreadable from byte ${at} on`)
    if (raw.kind === KIND.end) {
      if (raw.end !== input.length) return damaged(`it goes on after its end at byte ${raw.end}`)
      if (document === null || !sameBytes(raw.payload, sha256(input.subarray(0, at))))
        return damaged('its closing hash does not match')
      return { kind: 'snapshot', snapshot: { document, frames } }
    }
    const kind = recordKindOf(raw.kind)
    if (kind !== null && document !== null) frames.push({ kind, bytes: raw.payload })
    else if (raw.kind === KIND.document && document === null) document = raw.payload
    else return damaged(`it holds an unexpected frame at byte ${at}`)
    at = raw.end
  }
  return damaged('its end is missing')
}
