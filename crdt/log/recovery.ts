// Recovery: what a store's directory holds after whatever happened to it, and where appending may go on. It reads, cuts
// an unfinished write off the last segment, and changes nothing else: damaged files stay as they are until a snapshot
// covers them, since they are evidence. Records behind a corrupt stretch are returned too: each proves itself by its
// signature, the replica holds those whose causal past is missing as orphans, and anti-entropy fetches the gap.

import { TuttiError } from '../../lib/errors.ts'
import type { Frame, Loaded, Snapshot } from '../store.ts'
import { storageError, type Files } from './files.ts'
import { decodeLog, FILE_HEADER_BYTES, FORMAT_VERSION, type DecodedLog } from './format.ts'
import { fileNameOf, isDraft, storeFileOf, type StoreFileKind } from './names.ts'
import { Segment } from './segment.ts'
import { decodeSnapshot } from './snapshot.ts'

export interface Recovered {
  readonly loaded: Loaded
  /** Where appends go on. */
  readonly segment: Segment
  /** Number of the snapshot that was loaded; null when there is none. */
  readonly base: number | null
  /** Bytes of the frames that follow it. */
  readonly appendedBytes: number
}

/** Sentences of damage that one report holds; a directory full of it needs no more to be believed. */
const DAMAGE_SENTENCES_MAX = 5

/** Reads a store's directory. @throws TuttiError `storage`, also when a newer tutti wrote it. */
export const recover = async (files: Files): Promise<Recovered> => {
  try {
    return await recovered(files)
  } catch (cause) {
    throw storageError(cause, `the records in ${files.where} could not be opened`)
  }
}

const recovered = async (files: Files): Promise<Recovered> => {
  const names = await files.list()
  for (const name of names.filter(isDraft)) await files.remove(name)
  const snapshots = numbersOf(names, 'snapshot')
  const damage: string[] = []
  const segments = numbersOf(names, 'log')
  const newest = await newestSnapshot(files, snapshots, damage)
  const base = newest?.number ?? null
  const log = await readLog(files, segments, base ?? 1, segments.length > 0 || snapshots.length > 0, damage)
  const next = Math.max((segments.at(-1) ?? 0) + 1, snapshots.at(-1) ?? 1)
  const segment =
    log.last === null ? await Segment.create(files, next, []) : await goOn(files, log.last, next)
  // A process killed between a create or a rename and its directory sync leaves names that a power loss still takes
  // back. What was read counts from now on, so its names have to be durable from now on.
  await files.syncDirectory()
  return {
    loaded: { snapshot: newest?.snapshot ?? null, frames: log.frames, damage: sentenceOf(damage) },
    segment,
    base,
    appendedBytes: log.bytes,
  }
}

const numbersOf = (names: readonly string[], kind: StoreFileKind): readonly number[] =>
  names
    .map(storeFileOf)
    .flatMap((file) => (file?.kind === kind ? [file.number] : []))
    .sort((a, b) => a - b)

const sentenceOf = (damage: readonly string[]): string | null => {
  if (damage.length === 0) return null
  const shown = damage.slice(0, DAMAGE_SENTENCES_MAX)
  if (damage.length > shown.length) shown.push(`${damage.length - shown.length} more damaged places`)
  return shown.join('; ')
}

const newer = (name: string, version: number): TuttiError =>
  new TuttiError(
    'storage',
    `${name} was written by a newer tutti (format ${version}, this one reads ${FORMAT_VERSION}); run that version again`,
  )

const newestSnapshot = async (
  files: Files,
  numbers: readonly number[],
  damage: string[],
): Promise<{ readonly number: number; readonly snapshot: Snapshot } | null> => {
  for (const number of numbers.toReversed()) {
    const name = fileNameOf('snapshot', number)
    const bytes = await files.read(name)
    const decoded = decodeSnapshot(bytes ?? new Uint8Array())
    if (decoded.kind === 'snapshot') return { number, snapshot: decoded.snapshot }
    if (decoded.kind === 'newer') throw newer(name, decoded.version)
    damage.push(`${name} is damaged (${decoded.reason}), so an older one and the log since were read instead`)
  }
  return null
}

interface LastSegment {
  readonly number: number
  readonly log: DecodedLog
}

interface ReadLog {
  readonly frames: readonly Frame[]
  readonly bytes: number
  readonly last: LastSegment | null
}

const readLog = async (
  files: Files,
  segments: readonly number[],
  first: number,
  expectAny: boolean,
  damage: string[],
): Promise<ReadLog> => {
  const frames: Frame[] = []
  let bytes = 0
  let last: LastSegment | null = null
  let expected = first
  const wanted = segments.filter((number) => number >= first)
  if (expectAny && wanted.length === 0) damage.push(missing(first, first))
  for (const number of wanted) {
    if (number > expected) damage.push(missing(expected, number - 1))
    expected = number + 1
    const name = fileNameOf('log', number)
    const input = (await files.read(name)) ?? new Uint8Array()
    const log = decodeLog(input)
    if (log.version !== null && log.version > FORMAT_VERSION) throw newer(name, log.version)
    for (const frame of log.frames) frames.push(frame)
    bytes += Math.max(0, log.end - FILE_HEADER_BYTES)
    damage.push(...describe(name, log, number === wanted.at(-1)))
    last = { number, log }
  }
  return { frames, bytes, last }
}

/**
 * Where appends go on after the last segment. An unfinished write is cut off it. Should valid frames of that write lie
 * behind its torn part, they first move to a new segment: left there, the torn part would look, once later groups
 * follow, as if it had been durable.
 */
const goOn = async (files: Files, last: LastSegment, next: number): Promise<Segment> => {
  // Not one of our headers: whatever this file is, it is not written to.
  if (last.log.version === null) return Segment.create(files, next, [])
  const torn = last.log.damage.find(({ kind }) => kind === 'torn')
  const moved = torn === undefined ? [] : last.log.frames.slice(torn.framesBefore)
  const cut = torn?.from ?? last.log.end
  if (moved.length === 0) return Segment.resume(files, last.number, cut)
  const segment = await Segment.create(files, next, moved)
  await (await Segment.resume(files, last.number, cut)).close()
  return segment
}

const missing = (from: number, to: number): string =>
  from === to
    ? `${fileNameOf('log', from)} is missing; what it held is fetched from the other peers`
    : `${fileNameOf('log', from)} to ${fileNameOf('log', to)} are missing; what they held is fetched from the other peers`

/** Nothing was in flight in a segment that has a successor, so whatever is bad in one was durable once. */
const describe = (name: string, log: DecodedLog, last: boolean): readonly string[] => {
  return log.damage.map(({ kind, from, to }) => {
    if (kind === 'header')
      return `${name} has an unreadable header; ${log.frames.length} records of it were read`
    const what = `${name} has ${to - from} unreadable bytes at ${from}`
    return kind === 'torn' && last
      ? `${what}, an unfinished write; nothing acknowledged was lost`
      : `${what}, which were durable once: the disk or the file was damaged; what they held is fetched from the other peers`
  })
}
