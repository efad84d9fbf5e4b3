// The one table of error codes, and the error that carries them. A message describes its own layer in one lower-case
// sentence and ends, where the user can do something, with the next step. HTTP statuses and exit codes are mapped from
// the code elsewhere (node/serve/api, cli/exit.ts); this file knows neither.

export const ERROR_CODES = {
  invalid: 'the input is malformed or breaks a rule; nothing was changed',
  unknown: 'what the request names does not exist',
  conflict: 'the state is not the one the request assumed',
  forbidden: 'the caller may not do this',
  refused: 'the cluster refused: a rule of the document, of membership or of a policy',
  unsupported: 'this version of tutti cannot do this yet',
  'too-large': 'the input exceeds a stated limit',
  busy: 'a queue is full or a lock is held; trying again later can work',
  unreachable: 'a peer could not be reached',
  timeout: 'the deadline passed first',
  storage: 'the disk refused: full, read-only or damaged; nothing was acknowledged',
  'not-ready': 'the peer has not started yet, or is not a member yet',
  internal: 'a bug in tutti',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** A failure that a caller or a user may meet. Bugs are AssertionErrors instead. */
export class TuttiError extends Error {
  override readonly name = 'TuttiError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** Any thrown value as a TuttiError; what is not one becomes `internal` with the original as its cause. */
export const asTuttiError = (thrown: unknown): TuttiError => {
  if (thrown instanceof TuttiError) return thrown
  return new TuttiError('internal', messageOf(thrown), { cause: thrown })
}

/** What was thrown, in words a person can read; never throws itself. */
export const messageOf = (thrown: unknown): string => {
  if (thrown instanceof Error) return thrown.message
  try {
    return String(thrown)
  } catch {
    // An object without a prototype has no text.
    return 'an unknown failure'
  }
}
