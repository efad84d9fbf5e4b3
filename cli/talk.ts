// What commands say to people besides their answer: how fresh it is, warnings, and the question before a change.

import type { AsOf } from '../node/serve/api/contract.ts'
import { UsageError } from './exit.ts'
import type { Context } from './io.ts'
import { typable } from './program-name.ts'
import { counted, harmless, paintFor, short } from './render.ts'

/** `as of peer a: 3/3 peers alive, digest 1a2b3c4d`, on stderr, so that piped output stays an answer. */
export const tellFreshness = (context: Context, asOf: AsOf): void => {
  const { stderr, environment } = context.io
  const line = `as of peer ${harmless(asOf.peer)}: ${asOf.alive}/${counted(asOf.members, 'peer')} alive, digest ${short(asOf.digest)}`
  stderr.write(`${paintFor(stderr, environment)('dim', line)}\n`)
}

/** One warning on stderr. */
export const warn = (context: Context, sentence: string): void => {
  const { stderr, environment } = context.io
  stderr.write(
    `${paintFor(stderr, environment)('yellow', 'warning:')} ${harmless(typable(sentence, context.io))}\n`,
  )
}

/** Asks before a change. `--yes` answers; without it and without a terminal nothing is changed. @throws UsageError. */
export const isConfirmed = async (context: Context, yes: boolean, question: string): Promise<boolean> => {
  if (yes) return true
  if (context.io.ask === null) {
    throw new UsageError('this asks before it changes anything, and no one is at the terminal; add --yes')
  }
  const answer = await context.io.ask(`${question} [y/N] `)
  return /^y(es)?$/i.test(answer.trim())
}
