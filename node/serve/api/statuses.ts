// From an error code to an HTTP status and back from fastify's own refusals to a code: the only place that knows both.
// Outside messages only: what a reply says is the error's own sentence, never a stack, never a cause.

import { asTuttiError, TuttiError, type ErrorCode } from '../../../lib/errors.ts'
import { AssertionError } from '../../../lib/assert.ts'

export const HTTP_STATUSES = {
  invalid: 400,
  unknown: 404,
  conflict: 409,
  forbidden: 403,
  refused: 422,
  unsupported: 501,
  'too-large': 413,
  busy: 503,
  unreachable: 502,
  timeout: 504,
  storage: 507,
  'not-ready': 503,
  internal: 500,
} as const satisfies Record<ErrorCode, number>

/** A request that carries no valid token. Its code is `forbidden`; HTTP tells the two apart, the error table need not. */
export class UnauthorizedError extends TuttiError {
  constructor() {
    super(
      'forbidden',
      'the token is missing or wrong; send it as Authorization: Bearer TOKEN (--token, or $TUTTI_TOKEN)',
    )
  }
}

/** What fastify refuses before any route of ours sees it. Its codes are listed in fastify's Errors reference. */
const REFUSALS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['too-large', 'the request is too large'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'invalid',
    'the request must be JSON; send content-type: application/json',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid', 'the request is not as long as it says'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid', 'the request is empty; send JSON'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid', 'the request is not valid JSON'],
  FST_ERR_BAD_URL: ['invalid', 'the path is not a valid URL'],
  FST_ERR_MAX_PARAM_LENGTH: ['invalid', 'the path is too long'],
  ECONNRESET: ['unreachable', 'the connection was closed'],
}

const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''

/** What is said outside of anything thrown: known refusals as they are, everything unexpected as one bland sentence. */
export const outsideError = (thrown: unknown): TuttiError => {
  if (thrown instanceof TuttiError && thrown.code !== 'internal') return thrown
  const refusal = REFUSALS[codeOf(thrown)]
  if (refusal !== undefined) return new TuttiError(refusal[0], refusal[1], { cause: thrown })
  // A bug's message may quote anything: it goes to the log, under the request's id, and not to the caller.
  const cause = thrown instanceof AssertionError ? thrown : asTuttiError(thrown)
  return new TuttiError('internal', 'a bug in tutti; the log of this peer has it under the request id', {
    cause,
  })
}

export const statusOf = (error: TuttiError): number =>
  error instanceof UnauthorizedError ? 401 : HTTP_STATUSES[error.code]
