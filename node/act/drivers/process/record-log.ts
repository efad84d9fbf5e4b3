// The text of the log of records: a line for each record that was written or dropped, the last one of an instance counts.
// Every line carries its own checksum, so that damage costs the lines that it hit and no others; what a crash cut off at
// the end was acknowledged to nobody. Values in, values out; files are records.ts's.

import { crc32 } from 'node:zlib'
import type { InstanceId } from '../../../../lib/ids.ts'
import { sortedBy } from '../../../../lib/order.ts'
import { parseRecord, recordText, type StoredRecord } from './record-text.ts'

/** What a log says. */
export interface Replayed {
  /** By instance. */
  readonly records: readonly StoredRecord[]
  /** Lines that were written in full and are not what was written; from 1. */
  readonly damaged: readonly number[]
  /** Bytes up to the end of the last whole line. */
  readonly end: number
  /** A crash cut off a write: there is something after the last whole line. */
  readonly isTorn: boolean
}

const DROP = 'drop '
const LINE_BREAK = 0x0a
const CHECKSUM = /^([0-9a-f]{8}) (.*)$/s

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0')
const line = (text: string): string => `${checksum(text)} ${text}\n`

/** The line that replaces an instance's record. */
export const recordLine = (stored: StoredRecord): string => line(recordText(stored))

/** The line after which an instance has no record. */
export const dropLine = (instance: InstanceId): string => line(`${DROP}${instance}`)

/**
 * Reads a log from its first byte. Zeros after the last line are room for the next ones. A last line without its end is
 * what a crash left of a write: nothing was spawned on its word.
 */
export const replay = (bytes: Buffer): Replayed => {
  let written = bytes.length
  while (written > 0 && bytes[written - 1] === 0) written -= 1
  // Of the bytes, not of their text: a torn write may end within a character, which is longer as a replacement.
  const end = bytes.subarray(0, written).lastIndexOf(LINE_BREAK) + 1
  const lines = bytes.toString('utf8', 0, end).split('\n').slice(0, -1)
  const records = new Map<string, StoredRecord>()
  const damaged: number[] = []
  for (const [at, text] of lines.entries()) {
    const [, sum, body = ''] = CHECKSUM.exec(text) ?? []
    const sound = sum !== undefined && sum === checksum(body)
    const stored = sound && !body.startsWith(DROP) ? parseRecord(body) : null
    if (stored !== null) records.set(stored.record.instance, stored)
    else if (sound && body.startsWith(DROP)) records.delete(body.slice(DROP.length))
    else damaged.push(at + 1)
  }
  return {
    records: sortedBy(records.values(), ({ record }) => record.instance),
    damaged,
    end,
    isTorn: end < written,
  }
}
