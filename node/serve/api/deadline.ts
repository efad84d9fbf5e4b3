// Deadlines of what a request waits for. The work itself goes on where it cannot be taken back; the caller is told that
// it was not finished in time, not that it failed.

import { TuttiError } from '../../../lib/errors.ts'

/** A change waits for one disk sync; a disk that takes this long hangs. Below the command line's own half minute. */
export const WRITE_MS = 25_000
/** Joining dials, is admitted and fetches the whole document, perhaps over a slow line. */
export const JOIN_MS = 120_000
/** An examination has its own bounds inside, eighteen seconds a member; the command line waits thirty. */
export const EXAMINE_MS = 26_000

/** @throws TuttiError `timeout` when `work` takes longer. */
export const inTime = async <T>(work: Promise<T>, timeoutMs: number): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new TuttiError(
            'timeout',
            'not finished in time and may still happen; look at the state before trying again',
          ),
        ),
      timeoutMs,
    )
  })
  try {
    return await Promise.race([work, expired])
  } finally {
    clearTimeout(timer)
  }
}
