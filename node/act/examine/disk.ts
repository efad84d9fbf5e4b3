// Facts of the data directory: room, kind, permissions, how long a write takes to be safe, and whether the log is whole.
// It writes one small file of its own and removes it again; the log is only read, also while a peer writes it.

import { open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCodeOf } from '../../../crdt/log/files.ts'
import { decodeLog, FILE_HEADER_BYTES } from '../../../crdt/log/format.ts'
import { storeFileOf } from '../../../crdt/log/names.ts'
import { decodeSnapshot } from '../../../crdt/log/snapshot.ts'
import { messageOf } from '../../../lib/errors.ts'
import type { DiskFacts, LogFacts } from '../../doctor/facts.ts'
import { readOptional } from '../disk/files.ts'

// statfs(2), and the kernel's include/uapi/linux/magic.h for what is missing there.
const KINDS: Readonly<Record<number, string>> = {
  0x01021994: 'tmpfs',
  0x858458f6: 'ramfs',
  0x794c7630: 'overlay',
  0x6969: 'nfs',
  0xff534d42: 'cifs',
  0xfe534d42: 'smb2',
  0x01021997: '9p',
  0x65735546: 'fuse',
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x2fc12fc1: 'zfs',
  0xf2f52010: 'f2fs',
  0xca451a4e: 'bcachefs',
}

/** Enough for a median, and at 20 ms each still no wait. */
const SYNCS = 5
const SYNC_BYTES = 4096
/** Of the whole log, the newest first: some 50 ms of hashing. A log is a few megabytes; more than this has another trouble. */
const LOG_READ_BYTES_MAX = 32 * 1024 * 1024
const SECRETS = ['identity.key', 'api.token']
const GROUP_AND_OTHERS = 0o077

const existing = async (path: string): Promise<string> => {
  try {
    await stat(path)
    return path
  } catch (thrown) {
    const above = dirname(path)
    if (above === path || systemCodeOf(thrown) !== 'ENOENT') return path
    return await existing(above)
  }
}

/** What can be told of a data directory that may not exist yet. Never rejects: what fails is in the facts. */
export const diskFacts = async (directory: string): Promise<DiskFacts> => {
  const nearest = await existing(directory)
  const exists = nearest === directory
  const empty = {
    directory,
    exists,
    filesystem: 'unknown',
    freeBytes: 0,
    totalBytes: 0,
    freeInodes: 0,
    totalInodes: 0,
  }
  const guarded = exists ? await guardFacts(directory) : { mode: null, foreignOwner: false, exposed: [] }
  try {
    const { type, bavail, bsize, blocks, ffree, files } = await statfs(nearest)
    const room = {
      filesystem: KINDS[type >>> 0] ?? `0x${(type >>> 0).toString(16)}`,
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
      freeInodes: ffree,
      totalInodes: files,
    }
    return {
      ...empty,
      ...room,
      ...guarded,
      ...(exists ? await timedSyncs(directory) : { syncMs: null, failure: null }),
    }
  } catch (thrown) {
    return { ...empty, ...guarded, syncMs: null, failure: messageOf(thrown) }
  }
}

const guardFacts = async (
  directory: string,
): Promise<Pick<DiskFacts, 'mode' | 'foreignOwner' | 'exposed'>> => {
  try {
    const { mode, uid } = await stat(directory)
    const own = process.getuid?.() ?? uid
    const exposed: string[] = []
    for (const name of SECRETS) {
      const secret = await stat(join(directory, name)).catch(() => null)
      if (secret !== null && (secret.mode & GROUP_AND_OTHERS) !== 0) exposed.push(name)
    }
    return { mode, foreignOwner: own !== 0 && uid !== own, exposed }
  } catch {
    // Not to be looked at: the write's failure says so.
    return { mode: null, foreignOwner: false, exposed: [] }
  }
}

const timedSyncs = async (directory: string): Promise<Pick<DiskFacts, 'syncMs' | 'failure'>> => {
  const path = join(directory, `examine-${process.pid}.tmp`)
  const block = Buffer.alloc(SYNC_BYTES, 1)
  try {
    const file = await open(path, 'w', 0o600)
    try {
      const took: number[] = []
      for (let at = 0; at < SYNCS; at += 1) {
        const began = performance.now()
        await file.write(block, 0, block.length, at * SYNC_BYTES)
        await file.datasync()
        took.push(performance.now() - began)
      }
      const sorted = took.toSorted((a, b) => a - b)
      return { syncMs: { median: sorted[SYNCS >> 1] ?? 0, max: sorted.at(-1) ?? 0 }, failure: null }
    } finally {
      await file.close()
    }
  } catch (thrown) {
    return { syncMs: null, failure: messageOf(thrown) }
  } finally {
    await rm(path, { force: true }).catch(() => undefined)
  }
}

/**
 * Reads the log and the snapshots and checks every record of theirs; null when there are none. An unfinished write at the
 * very end is no damage: a peer may be writing it now, and nothing in it was acknowledged.
 */
export const logFacts = async (folder: string): Promise<LogFacts | null> => {
  const names = await readdir(folder).catch(() => [])
  const stored = names
    .flatMap((name) => {
      const file = storeFileOf(name)
      return file === null ? [] : [{ name, ...file }]
    })
    .toSorted((a, b) => b.number - a.number)
  if (stored.length === 0) return null
  const newest = Math.max(...stored.filter(({ kind }) => kind === 'log').map(({ number }) => number))
  const damage: string[] = []
  let [bytes, records, skippedBytes, files] = [0, 0, 0, 0]
  for (const { name, kind, number } of stored) {
    const path = join(folder, name)
    const size = (await stat(path).catch(() => null))?.size ?? 0
    if (bytes + size > LOG_READ_BYTES_MAX) {
      skippedBytes += size
      continue
    }
    // Gone: a snapshot has replaced it meanwhile.
    const content = await readOptional(path)
    if (content === null) continue
    bytes += content.length
    files += 1
    if (kind === 'snapshot') {
      const decoded = decodeSnapshot(content)
      if (decoded.kind === 'damaged') damage.push(`${name}: ${decoded.reason}`)
      continue
    }
    const decoded = decodeLog(content)
    records += decoded.frames.length
    for (const one of decoded.damage) {
      if (number === newest && (one.kind === 'torn' || content.length < FILE_HEADER_BYTES)) continue
      damage.push(
        `${name}: bytes ${one.from} to ${one.to} are ${one.kind === 'header' ? 'no header of a log' : one.kind}`,
      )
    }
  }
  return { files, records, bytes, damage, skippedBytes }
}
