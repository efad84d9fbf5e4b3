// Planted bugs of quorum slots: what voters remember, how long a holder believes in its lease, who ends a run without one.

import type { Mutant } from './mutant.ts'

export const LEASE_MUTANTS: readonly Mutant[] = [
  {
    name: 'promise-not-durable',
    bug: 'what a voter has promised, and who votes, is never written to the disk',
    breaks: 'L7',
    composition: () => ({
      promises: (files) => ({
        ...files,
        read: async () => null,
        rename: async () => undefined,
      }),
    }),
  },
  {
    name: 'no-watchdog',
    bug: 'only the peer itself ends a run whose lease is over',
    breaks: 'S9',
    patches: [
      {
        file: 'simulations/processes.ts',
        find: 'if (deadlineMs !== null) this.#guard(entry)',
        replace: 'void this.#guard',
      },
    ],
  },
]
