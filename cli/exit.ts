// Exit codes, which scripts rely on: 0 done, 1 failed, 2 usage, 3 refused by the cluster, 4 not reached in time, and
// `plan`'s 10 for changes. One table from error codes, so that an error means the same wherever it was found.

import type { ErrorCode } from '../lib/errors.ts'

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  timeout: 4,
  /** `tutti plan`: there are changes. */
  changes: 10,
  /** A release for a build duty: not now, and no fault of the commit (sysexits.h, EX_TEMPFAIL). */
  temporary: 75,
  /** Ctrl-C: 128 + SIGINT, as shells count. */
  interrupted: 130,
} as const

/** The exit code of each error code; `satisfies` makes a new error code choose one. */
export const EXIT_OF_ERROR = {
  invalid: EXIT.refused,
  unknown: EXIT.refused,
  conflict: EXIT.refused,
  forbidden: EXIT.refused,
  refused: EXIT.refused,
  unsupported: EXIT.refused,
  'too-large': EXIT.refused,
  busy: EXIT.failed,
  unreachable: EXIT.failed,
  timeout: EXIT.timeout,
  storage: EXIT.failed,
  'not-ready': EXIT.failed,
  internal: EXIT.failed,
} as const satisfies Record<ErrorCode, number>

/** The command line itself is wrong: exit 2, whatever the cluster would say. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A command that ran and did not reach what it was asked for; its sentence is for people, its code for scripts. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exit: number

  constructor(exit: number, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.exit = exit
  }
}
