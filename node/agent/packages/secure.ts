// Making sure that so many members have a package before a push returns: those that are there are asked, one after the other in the
// order in which copies are elected (node/plan/package-copies.ts), until enough of them say that they have it.

import { messageOf, TuttiError } from '../../../lib/errors.ts'
import type { MemberId, PackageDigest } from '../../../lib/ids.ts'
import { compareStrings } from '../../../lib/order.ts'
import { rankedFor } from '../../plan/package-copies.ts'
import type { AgentPort } from '../../ports.ts'
import { encodePackageQuestion } from './wire.ts'

/** Reasons that one sentence names. */
const REASONS_MAX = 3

export interface Securing {
  readonly digest: PackageDigest
  /** In all, those that there are included. */
  readonly copies: number
  /** Who has it already. */
  readonly having: readonly MemberId[]
  /** Members that are there. */
  readonly present: readonly MemberId[]
  readonly nameOf: (member: MemberId) => string
  readonly ask: AgentPort['ask']
}

/** Resolves with who has it. @throws TuttiError `timeout`, `unreachable`. */
export const secureCopies = async (
  { digest, copies, having: before, present, nameOf, ask }: Securing,
  signal: AbortSignal,
): Promise<readonly MemberId[]> => {
  const having = new Set(before)
  const reasons: string[] = []
  const rest = rankedFor(
    digest,
    present.filter((member) => !having.has(member)),
  ).values()
  await Promise.all(
    Array.from({ length: Math.max(0, copies - having.size) }, async () => {
      for (const member of rest) {
        const reason = await askForCopy(ask, member, digest, signal)
        if (reason === null) {
          having.add(member)
          return
        }
        reasons.push(`${nameOf(member)}: ${reason}`)
      }
    }),
  )
  if (having.size >= copies) return [...having].toSorted(compareStrings)
  if (signal.aborted)
    throw new TuttiError('timeout', `the package has ${having.size} of ${copies} copies; try again`)
  const why = reasons.length === 0 ? 'no other member is there' : reasons.slice(0, REASONS_MAX).join('; ')
  throw new TuttiError(
    'unreachable',
    `the package has ${having.size} of ${copies} copies (${why}); mend that, or push with --copies ${having.size}`,
  )
}

/** Null: the member has it now; else why not. */
const askForCopy = async (
  ask: AgentPort['ask'],
  member: MemberId,
  digest: PackageDigest,
  signal: AbortSignal,
): Promise<string | null> => {
  try {
    for await (const word of ask(member, 'package-copy', encodePackageQuestion(digest), signal)) void word
    return null
  } catch (thrown) {
    return messageOf(thrown)
  }
}
