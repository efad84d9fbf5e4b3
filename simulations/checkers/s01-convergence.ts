// S1: peers that hold the same set of changes have the same view, whatever order brought them. Every view ever seen is
// remembered by its heads, over all peers and the whole run.

import type { Checker } from './checker.ts'

export const convergence = (): Checker => {
  const digests = new Map<string, { readonly digest: string; readonly by: string }>()
  return {
    invariant: 'S1',
    look: ({ world }) =>
      world.machines.flatMap(({ agent, name }) => {
        if (agent === null) return []
        const heads = agent.headsDigest()
        const { digest } = agent.view()
        const known = digests.get(heads)
        if (known === undefined) digests.set(heads, { digest, by: name })
        if (known === undefined || known.digest === digest) return []
        return [`${name} and ${known.by} hold the same changes and have different views`]
      }),
  }
}
