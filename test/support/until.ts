// Waiting on conditions that have no event, in unit tests.

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

/** Only a failure takes this long; below the runner's limit of a test, beyond which a wait would keep its file's process for good. */
const PATIENCE_MS = 30_000
/** Conditions are cheap to look at, and most hold within milliseconds. */
const POLL_MS = 3

/** Resolves as soon as `condition` holds. @throws AssertionError when it never does */
export const until = async (condition: () => boolean, what = condition.toString()): Promise<void> => {
  const endMs = performance.now() + PATIENCE_MS
  while (!condition()) {
    assert.ok(performance.now() < endMs, `never came true: ${what}`)
    await pause(POLL_MS)
  }
}
