// Assertions that stay on in production. A failed assertion is a bug of ours: it crashes the pass or the process and
// is never shown to a user as an answer. Bad input is not a bug: it throws TuttiError instead.

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws when `condition` does not hold; the message says which belief was wrong. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(`assertion failed: ${message}`)
}

/** Closes a switch over a union: the compiler rejects it as soon as a case is missing. */
export const unreachable = (value: never): never => {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`)
}

/** The value, where the surrounding code has already made sure that there is one. */
export const defined = <T>(value: T | undefined | null, what: string): T => {
  assert(value !== undefined && value !== null, `${what} is missing`)
  return value
}
