// The packages of a release, as the peer that is asked knows them.

import { TuttiError } from '../../lib/errors.ts'
import type { Client } from '../client.ts'
import type { Context } from '../io.ts'
import type { Publisher } from './make-release.ts'

/** Packages by way of a peer's API. */
export const publisherOf = (_context: Context, _client: Client): Publisher => {
  const refuse = (): never => {
    throw new TuttiError('unsupported', 'packages are not offered yet')
  }
  return { find: () => Promise.resolve(null), push: refuse }
}
