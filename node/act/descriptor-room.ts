// Room for the descriptors of many instances, made when the peer starts (docs/adr/0035-descriptor-room.md). Linux doubles a
// process's table of descriptors when it is full, and where the process has threads, the one that opens a file then waits until
// every core has passed a quiet state (`expand_fdtable` in fs/file.c calls `synchronize_rcu`): 5 to 30 ms, in which a peer's
// event loop would stand still amid a burst of starts. A table never shrinks, so it is made large once, while nobody waits.

import { closeSync, open, openSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { hardLimit } from './limits.ts'

const NOTHING = '/dev/null'
/** The first descriptor of the last doubling: the table then has 2,048. An instance takes one, the rest of a peer some fifty. */
const HIGHEST = 1024
/** Of the descriptors that the machine allows, for the moment; whoever opens a file meanwhile is to get one. */
const SHARE_MAX = 1 / 2

const openElsewhere = promisify(open)

/** A table's sizes are powers of two. */
const isDoubling = (descriptor: number): boolean => (descriptor & (descriptor - 1)) === 0

/** Resolves when the room is there, or as much of it as this machine allows. Never rejects. */
export const makeDescriptorRoom = async (): Promise<void> => {
  const held: number[] = []
  try {
    const allowed = hardLimit(readFileSync('/proc/self/limits', 'utf8'), 'Max open files') ?? Infinity
    const highest = Math.min(HIGHEST, allowed * SHARE_MAX)
    for (let last = 0; last < highest; held.push(last)) {
      // The wait is a thread's of the pool; all others are a microsecond each.
      last = isDoubling(last + 1) ? await openElsewhere(NOTHING, 'r') : openSync(NOTHING, 'r')
    }
  } catch {
    // What is missing is made when it is needed.
  } finally {
    for (const descriptor of held) closeSync(descriptor)
  }
}
