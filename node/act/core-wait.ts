// How long this process has stood in line for a core, as the kernel counts it: the second figure of Linux's schedstat, the
// run-queue delay of the main thread, on which the event loop runs. It tells a starved peer from an idle one before any
// timer is late. Where there is no such file it says 0, and the failure detector has its other signals.

import { openSync, readSync } from 'node:fs'

const NANOSECONDS_PER_MS = 1e6
/** Three decimal numbers. */
const BYTES_MAX = 128

/** A sensor that reads the total so far in milliseconds, in some ten microseconds. The file stays open until the end. */
export const coreWaitSensor = (path = '/proc/thread-self/schedstat'): (() => number) => {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return () => 0
  }
  const bytes = Buffer.alloc(BYTES_MAX)
  let last = 0
  return () => {
    try {
      const length = readSync(file, bytes, 0, BYTES_MAX, 0)
      const waited = Number(bytes.toString('latin1', 0, length).split(' ')[1])
      if (Number.isFinite(waited)) last = waited / NANOSECONDS_PER_MS
    } catch {
      // A reading that fails is a reading without news; the descriptor is not tried again if it is gone.
    }
    return last
  }
}
