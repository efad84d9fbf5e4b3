// Files port: the few operations on one flat directory that a store is built of, small enough that a simulated disk can
// model each one's durability. node/act/disk/files.ts implements it for production, simulations/disk.ts in memory.
// Failures are thrown as the system throws them (an Error with a `code`); storageError below words them for people.

import { TuttiError, messageOf } from '../../lib/errors.ts'

/** One open file. Nothing is durable before a sync, and a failed sync says nothing about what is. */
export interface OpenFile {
  /** Writes all bytes at that offset, or throws having written any part of them. */
  write(bytes: Uint8Array, at: number): Promise<void>
  truncate(length: number): Promise<void>
  /** `bytes`: contents and length (fdatasync). `all`: everything (fsync). */
  sync(scope: 'bytes' | 'all'): Promise<void>
  close(): Promise<void>
}

export interface Files {
  /** The directory, for messages. */
  readonly where: string
  /** Names in the directory, which is created, durably, when missing. */
  list(): Promise<readonly string[]>
  /** The whole file; null when there is none. */
  read(name: string): Promise<Uint8Array | null>
  /** `fresh`: created, or emptied when it exists. `existing`: must exist, is kept as it is. */
  open(name: string, mode: 'fresh' | 'existing'): Promise<OpenFile>
  /** Replaces `to`, atomically. */
  rename(from: string, to: string): Promise<void>
  /** Nothing happens when there is no such file. */
  remove(name: string): Promise<void>
  /** Makes names created, renamed and removed before durable. */
  syncDirectory(): Promise<void>
}

/** The system's code of a failure: `ENOSPC`. Empty when it has none. */
export const systemCodeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''

/**
 * A failure of the disk as one sentence with the next step. `what` is what could not be done:
 * `3 records could not be written to /var/lib/tutti/log`.
 */
export const storageError = (cause: unknown, what: string): TuttiError => {
  if (cause instanceof TuttiError) return cause
  const code = systemCodeOf(cause)
  return new TuttiError('storage', `${openingOf(code, cause)}: ${what}; ${nextStepOf(code)}`, { cause })
}

const openingOf = (code: string, cause: unknown): string => {
  if (code === 'ENOSPC') return 'the disk is full'
  if (code === 'EDQUOT') return 'the disk quota is used up'
  if (code === 'EROFS') return 'the disk is mounted read-only'
  if (code === 'EACCES' || code === 'EPERM') return 'permission was denied'
  if (code === 'EMFILE' || code === 'ENFILE') return 'too many files are open'
  return `the disk failed (${code === '' ? messageOf(cause) : code})`
}

const nextStepOf = (code: string): string => {
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'free some space and try again'
  if (code === 'EROFS') return 'mount it for writing and try again'
  if (code === 'EACCES' || code === 'EPERM') return 'make it writable for this user and try again'
  if (code === 'EMFILE' || code === 'ENFILE') return 'raise the limit on open files and try again'
  return 'check the disk and try again'
}
