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
    name: 'promise-to-all',
    bug: 'a voter promises a slot to whoever asks with a higher token',
    breaks: 'S9',
    patches: [
      {
        file: 'node/plan/lease/voter.ts',
        find: "if (promise !== undefined && promise.entry.holder !== from && promise.untilMs > nowMs) return 'held'",
        replace: '',
      },
    ],
  },
  {
    name: 'voters-in-sight',
    bug: 'a majority of the voters on this side of a partition is enough',
    breaks: 'S9',
    patches: [
      {
        file: 'node/plan/lease/holder.ts',
        find: 'isQuorum(voters, round.granted)',
        replace: 'round.granted.size > round.asked.size / 2',
      },
      {
        file: 'node/plan/lease/holder.ts',
        find: "const shortage = voters === null ? 'who votes is not known yet' : shortageOf(voters, inSight)",
        replace:
          "const shortage = voters === null ? 'who votes is not known yet' : inSight.size > 0 ? null : shortageOf(voters, inSight)",
      },
      {
        file: 'node/plan/lease/holder.ts',
        find: '  isQuorum,\n',
        replace: '',
      },
    ],
  },
  {
    name: 'token-of-a-renewal',
    bug: 'a run begins with the token that the run before it was told of with its last renewal',
    breaks: 'S9',
    patches: [
      {
        file: 'node/plan/lease/holder.ts',
        find: 'if (seat.running) seat.above = Math.max(seat.above, round.token)',
        replace: '',
      },
    ],
  },
  {
    name: 'lease-from-answer',
    bug: 'a lease counts from the answer that makes it, and not from before it was asked for',
    breaks: 'S9',
    patches: [
      {
        file: 'node/plan/lease/holder.ts',
        find: 'const untilMs = round.sentMs + HOLD_MS',
        replace: 'const untilMs = nowMs + HOLD_MS',
      },
    ],
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
