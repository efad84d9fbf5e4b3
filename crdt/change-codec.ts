// Automerge's change chunk, written and read by ourselves, for the one kind of change that the document allows: sets of
// scalars on maps (automerge.org/automerge-binary-format-spec, "Change Chunk"). Automerge's own decoder trusts its
// input: a forged change can crash it, exhaust the memory, or leave a document that never loads again. So it only ever
// sees bytes that decode here, bounded, and that encode here to the very same bytes. Compressed chunks are refused.

import { fromHex, sameBytes, textOf, toHex, utf8 } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import { sha256, sha256Hex } from '../lib/hash.ts'
import type { ActorId, ChangeHash } from '../lib/ids.ts'
import { LIMITS } from '../lib/limits.ts'
import { compareStrings } from '../lib/order.ts'
import {
  ColumnReader,
  ColumnWriter,
  readDeltas,
  readIntegers,
  readStrings,
  writeDeltas,
  writeIntegers,
  writeStrings,
} from './columns.ts'
import type { Scalar } from './edit.ts'

/** One op of one change: a Lamport timestamp. The higher counter wins, then the higher actor. */
export interface OpId {
  readonly counter: number
  readonly actor: ActorId
}

/** Sets one key of one map; `replaces` are the values it saw there. */
export interface SetOp {
  /** The op that made the map. */
  readonly object: OpId
  readonly key: string
  readonly value: Scalar
  readonly replaces: readonly OpId[]
}

export interface Change {
  readonly actor: ActorId
  /** 1 for an actor's first change. */
  readonly seq: number
  /** Counter of its first op; the others follow. */
  readonly startOp: number
  /** Milliseconds of wall time. */
  readonly time: number
  readonly message: string
  /** Ascending, without repeats. */
  readonly deps: readonly ChangeHash[]
  readonly ops: readonly SetOp[]
}

/** A decoded change holds at most so many ops: 200 services of 300 fields each fit; one more is no cell file. */
export const CHANGE_OPS_MAX = 65_536
/** A message is one line for people. */
export const MESSAGE_BYTES_MAX = 2048

const MAGIC = Uint8Array.of(0x85, 0x6f, 0x4a, 0x83)
const CHUNK_CHANGE = 1
const CHUNK_COMPRESSED = 2
/** Magic and checksum precede what the hash covers. */
const HASHED_FROM = 8
const ACTION_SET = 1

// Column ids (id << 4 | type), in the order in which they are stored.
const COLUMNS = {
  objectActor: 0x01,
  objectCounter: 0x02,
  key: 0x15,
  insert: 0x34,
  action: 0x42,
  valueMeta: 0x56,
  value: 0x57,
  replacesCount: 0x70,
  replacesActor: 0x71,
  replacesCounter: 0x73,
} as const
type Column = keyof typeof COLUMNS
const COLUMN_NAMES = Object.keys(COLUMNS) as readonly Column[]

// Value types, the low four bits of a value's meta; the rest is its length in bytes.
const VALUE = { null: 0, false: 1, true: 2, integer: 4, text: 6 } as const

const malformed = (what: string): TuttiError => new TuttiError('invalid', `the change is malformed: ${what}`)

/** Lamport order: counter, then actor. */
export const compareOps = (a: OpId, b: OpId): number =>
  a.counter === b.counter ? compareStrings(a.actor, b.actor) : a.counter - b.counter

/** SHA-256 over type, length and body: what Automerge calls the change's hash. */
export const changeHashOf = (bytes: Uint8Array): ChangeHash =>
  sha256Hex(bytes.subarray(HASHED_FROM)) as ChangeHash

/** The chunk of one change. The same change always gives the same bytes, those that Automerge itself would write. */
export const encodeChange = (change: Change): Uint8Array => {
  const actors = [change.actor, ...otherActors(change)]
  const indexOf = new Map(actors.map((actor, index) => [actor, index]))
  const body = new ColumnWriter()
  body.unsigned(change.deps.length)
  for (const dep of change.deps) body.raw(fromHex(dep))
  writeLengthPrefixed(body, fromHex(change.actor))
  body.unsigned(change.seq)
  body.unsigned(change.startOp)
  body.signed(change.time)
  writeLengthPrefixed(body, utf8(change.message))
  body.unsigned(actors.length - 1)
  for (const actor of actors.slice(1)) writeLengthPrefixed(body, fromHex(actor))
  const columns = encodeOps(change.ops, (actor) => indexOf.get(actor) ?? 0)
  const present = COLUMN_NAMES.filter((name) => columns[name].length > 0)
  body.unsigned(present.length)
  for (const name of present) {
    body.unsigned(COLUMNS[name])
    body.unsigned(columns[name].length)
  }
  for (const name of present) body.raw(columns[name])
  return wrap(body.finish())
}

const otherActors = (change: Change): ActorId[] => {
  const others = new Set<ActorId>()
  for (const { object, replaces } of change.ops) {
    others.add(object.actor)
    for (const { actor } of replaces) others.add(actor)
  }
  others.delete(change.actor)
  return [...others].sort(compareStrings)
}

const writeLengthPrefixed = (to: ColumnWriter, bytes: Uint8Array): void => {
  to.unsigned(bytes.length)
  to.raw(bytes)
}

const wrap = (body: Uint8Array): Uint8Array => {
  const hashed = new ColumnWriter()
  hashed.byte(CHUNK_CHANGE)
  writeLengthPrefixed(hashed, body)
  const tail = hashed.finish()
  const whole = new Uint8Array(HASHED_FROM + tail.length)
  whole.set(MAGIC)
  whole.set(sha256(tail).slice(0, 4), MAGIC.length)
  whole.set(tail, HASHED_FROM)
  return whole
}

const encodeOps = (
  ops: readonly SetOp[],
  index: (actor: ActorId) => number,
): Readonly<Record<Column, Uint8Array>> => {
  const values = ops.map(({ value }) => encodeValue(value))
  const replaces = ops.flatMap((op) => op.replaces)
  const raw = new ColumnWriter()
  for (const { bytes } of values) raw.raw(bytes)
  const insert = new ColumnWriter()
  insert.unsigned(ops.length)
  return {
    objectActor: writeIntegers(ops.map(({ object }) => index(object.actor))),
    objectCounter: writeIntegers(ops.map(({ object }) => object.counter)),
    key: writeStrings(ops.map(({ key }) => key)),
    insert: insert.finish(),
    action: writeIntegers(ops.map(() => ACTION_SET)),
    valueMeta: writeIntegers(values.map(({ meta }) => meta)),
    value: raw.finish(),
    replacesCount: writeIntegers(ops.map((op) => op.replaces.length)),
    replacesActor: writeIntegers(replaces.map(({ actor }) => index(actor))),
    replacesCounter: writeDeltas(replaces.map(({ counter }) => counter)),
  }
}

const NOTHING = new Uint8Array(0)

const encodeValue = (value: Scalar): { readonly meta: number; readonly bytes: Uint8Array } => {
  if (value === null) return { meta: VALUE.null, bytes: NOTHING }
  if (typeof value === 'boolean') return { meta: value ? VALUE.true : VALUE.false, bytes: NOTHING }
  if (typeof value === 'string') {
    const bytes = utf8(value)
    return { meta: bytes.length * 16 + VALUE.text, bytes }
  }
  const to = new ColumnWriter()
  to.signed(value)
  const bytes = to.finish()
  return { meta: bytes.length * 16 + VALUE.integer, bytes }
}

/** The change that a chunk is. @throws TuttiError `invalid` on anything but the canonical chunk of a change of sets; `too-large`. */
export const decodeChange = (bytes: Uint8Array): Change => {
  if (bytes.length > LIMITS.changeBytesMax)
    throw new TuttiError(
      'too-large',
      `a change of ${bytes.length} bytes exceeds ${LIMITS.changeBytesMax}; split it`,
    )
  const chunk = new ColumnReader(bytes)
  if (!sameBytes(chunk.raw(MAGIC.length), MAGIC)) throw malformed('it is not an Automerge chunk')
  chunk.raw(HASHED_FROM - MAGIC.length)
  const type = chunk.byte()
  if (type === CHUNK_COMPRESSED) throw malformed('it is compressed')
  if (type !== CHUNK_CHANGE) throw malformed('it is not a change chunk')
  const body = new ColumnReader(chunk.raw(chunk.unsigned()))
  const change = readBody(body)
  // One comparison settles shortest integers, the order of columns and actors, the checksum, and every byte left over.
  if (!sameBytes(encodeChange(change), bytes)) throw malformed('it is not in its canonical form')
  return change
}

const readBody = (body: ColumnReader): Change => {
  const deps: ChangeHash[] = []
  for (let left = body.unsigned(); left > 0; left -= 1) deps.push(toHex(body.raw(32)) as ChangeHash)
  if (deps.some((dep, at) => at > 0 && dep <= (deps[at - 1] ?? '')))
    throw malformed('its dependencies are not in ascending order')
  const actors = [readActor(body)]
  const seq = body.unsigned()
  const startOp = body.unsigned()
  const time = body.signed()
  const messageBytes = body.raw(body.unsigned())
  if (messageBytes.length > MESSAGE_BYTES_MAX) throw malformed('its message is too long')
  if (time < 0) throw malformed('its time is before 1970')
  const message = textOf(messageBytes)
  for (let left = body.unsigned(); left > 0; left -= 1) actors.push(readActor(body))
  const columns = readColumns(body)
  const ops = decodeOps(columns, actors)
  return { actor: actors[0] as ActorId, seq, startOp, time, message, deps, ops }
}

const readActor = (from: ColumnReader): ActorId => {
  const bytes = from.raw(from.unsigned())
  if (bytes.length !== 16) throw malformed('an actor is not 16 bytes long')
  return toHex(bytes) as ActorId
}

const readColumns = (body: ColumnReader): Readonly<Record<Column, Uint8Array>> => {
  const lengths: { readonly name: Column; readonly length: number }[] = []
  for (let left = body.unsigned(); left > 0; left -= 1) {
    const id = body.unsigned()
    const name = COLUMN_NAMES.find((known) => COLUMNS[known] === id)
    if (name === undefined || lengths.some((seen) => seen.name === name))
      throw malformed('it holds more than sets of map keys')
    lengths.push({ name, length: body.unsigned() })
  }
  const columns = Object.fromEntries(COLUMN_NAMES.map((name) => [name, NOTHING])) as Record<
    Column,
    Uint8Array
  >
  for (const { name, length } of lengths) columns[name] = body.raw(length)
  return columns
}

const decodeOps = (columns: Readonly<Record<Column, Uint8Array>>, actors: readonly ActorId[]): SetOp[] => {
  const keys = readStrings(columns.key, CHANGE_OPS_MAX)
  const rows = keys.length
  if (rows === 0) throw malformed('it changes nothing')
  const objects = readIntegers(columns.objectCounter, rows)
  const objectActors = readIntegers(columns.objectActor, rows)
  const actions = readIntegers(columns.action, rows)
  const metas = readIntegers(columns.valueMeta, rows)
  const raw = new ColumnReader(columns.value)
  const counts = readIntegers(columns.replacesCount, rows)
  // A concurrent value costs its writer a change of its own, so there are never many of them under one key.
  const replacesActors = readIntegers(columns.replacesActor, CHANGE_OPS_MAX)
  const replacesCounters = readDeltas(columns.replacesCounter, CHANGE_OPS_MAX)
  let replaced = 0
  const opIdOf = (counter: number | null | undefined, actor: number | null | undefined): OpId => {
    const author = actors[actor ?? -1]
    if (author === undefined || typeof counter !== 'number' || counter < 1)
      throw malformed('an op names no op')
    return { counter, actor: author }
  }
  const ops: SetOp[] = []
  for (let row = 0; row < rows; row += 1) {
    const key = keys[row]
    if (typeof key !== 'string' || actions[row] !== ACTION_SET)
      throw malformed('it holds more than sets of map keys')
    const object = opIdOf(objects[row], objectActors[row])
    const value = decodeValue(metas[row] ?? VALUE.null, raw)
    const replaces: OpId[] = []
    for (let left = counts[row] ?? 0; left > 0; left -= 1) {
      replaces.push(opIdOf(replacesCounters[replaced], replacesActors[replaced]))
      replaced += 1
    }
    ops.push({ object, key, value, replaces })
  }
  return ops
}

const decodeValue = (meta: number, raw: ColumnReader): Scalar => {
  const length = Math.floor(meta / 16)
  switch (meta % 16) {
    case VALUE.null:
      return null
    case VALUE.false:
      return false
    case VALUE.true:
      return true
    case VALUE.integer:
      return new ColumnReader(raw.raw(length)).signed()
    case VALUE.text:
      return textOf(raw.raw(length))
    default:
      throw malformed('it sets something that is no text, integer, boolean or null')
  }
}
