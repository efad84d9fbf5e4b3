// What the claims of requests and conversations need to read an answer, or why there is none.

import assert from 'node:assert/strict'
import { TuttiError } from '../../../lib/errors.ts'

/** All parts of an answer. */
export const collect = async (parts: AsyncIterable<Uint8Array>): Promise<readonly Uint8Array[]> => {
  const all: Uint8Array[] = []
  for await (const part of parts) all.push(part)
  return all
}

/** Whether what was thrown has this code and says this; for assert.rejects. */
export const failsWith = (code: string, pattern: RegExp) => (thrown: unknown) => {
  assert.ok(thrown instanceof TuttiError, String(thrown))
  assert.equal(thrown.code, code, thrown.message)
  assert.match(thrown.message, pattern)
  return true
}

/** The signal of an asker that never gives up. */
export const never = (): AbortSignal => new AbortController().signal
