// One record as text, and back: what the driver writes down of a run before it spawns anything (S10). Also the name of an
// instance's other places, derived from its id. Knows neither files nor processes.

import { TuttiError } from '../../../../lib/errors.ts'
import type { InstanceId } from '../../../../lib/ids.ts'
import { LATER_DEFAULTS } from '../../../../crdt/schema/service-defaults.ts'
import type { InstanceRecord } from '../../../ports.ts'

/** What the driver adds to a record. */
export interface StoredRecord {
  /** The boot in which it was spawned; in another one all its processes are gone. */
  readonly boot: string
  readonly record: InstanceRecord
}

const FORMAT = 1

// Records of earlier versions do not have the later fields. A definition without a package says nothing of one.
const { package: _none, ...LATER } = LATER_DEFAULTS

/** An instance id as a file name: its parts are DNS labels and hex, so `~` is free. @throws TuttiError `invalid`. */
export const fileNameOf = (instance: InstanceId): string => {
  if (!/^[a-z0-9-]+\/[a-z0-9-]+\/[a-z0-9-]+@[a-z0-9]+$/.test(instance))
    throw new TuttiError('invalid', `'${instance}' is not the id of an instance`)
  return instance.replaceAll('/', '~')
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isNonce = (value: unknown): boolean => isText(value) && /^[A-Za-z0-9_-]{8,128}$/.test(value)
const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A record as a JSON value. */
export const recordText = (stored: StoredRecord): string => JSON.stringify({ format: FORMAT, ...stored })

/** Null when the text is not a record that this version can act upon. */
export const parseRecord = (text: string): StoredRecord | null => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isTable(value) || value['format'] !== FORMAT || !isText(value['boot'])) return null
  const record = value['record']
  if (!isTable(record)) return null
  const texts = ['instance', 'slot', 'service', 'release', 'nonce']
  const counts = ['cpusMilli', 'memoryBytes', 'runs', 'failuresInARow']
  const definition = record['definition']
  const sound =
    texts.every((name) => isText(record[name])) &&
    counts.every((name) => typeof record[name] === 'number') &&
    typeof record['draining'] === 'boolean' &&
    isNonce(record['nonce']) &&
    (record['heir'] === undefined || isNonce(record['heir'])) &&
    isTable(record['ports']) &&
    isTable(definition) &&
    Array.isArray(definition['command']) &&
    isTable(definition['ports']) &&
    Array.isArray(definition['uses'])
  // Written by this program and checked above as far as anything here relies on it.
  if (!sound) return null
  const whole = { ...record, definition: { ...LATER, ...definition } }
  return { boot: value['boot'], record: whole as unknown as InstanceRecord }
}
