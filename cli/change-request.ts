// What commands that edit send: their operations, with what the person said of it. One place for the options that all of
// them share.

import type { ChangeRequest, Operation } from '../node/serve/api/contract.ts'
import type { Context } from './io.ts'

/** As the API takes a message. */
const MESSAGE_LENGTH_MAX = 500

/** The request of a change. `message` is what the command says of itself where the person says nothing. */
export const requestOf = (
  { message: said, ifDigest }: Pick<Context, 'message' | 'ifDigest'>,
  operations: readonly Operation[],
  { message, dry }: { readonly message?: string; readonly dry?: boolean },
): ChangeRequest => {
  const text = said ?? message
  return {
    operations: [...operations],
    ...(text === undefined ? {} : { message: text.slice(0, MESSAGE_LENGTH_MAX) }),
    ...(dry === undefined ? {} : { dry }),
    ...(ifDigest === null ? {} : { ifDigest }),
  }
}
