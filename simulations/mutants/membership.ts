// Planted bugs of membership: who is here, who is heard, and who is believed lost.

import type { Mutant } from './mutant.ts'

export const MEMBERSHIP_MUTANTS: readonly Mutant[] = [
  {
    name: 'hear-the-removed',
    bug: 'the connections of a removed member are not cut',
    breaks: 'S12',
    patches: [
      {
        file: 'node/agent/neighbourhood.ts',
        find: 'transport.setMembers(new Set(admitted.filter((id) => id !== transport.self)))',
        replace:
          'transport.setMembers(new Set([...admitted, ...view.removed].filter((id) => id !== transport.self)))',
      },
    ],
  },
  {
    name: 'no-brake',
    bug: 'a peer that sees most others vanish takes their slots over at once',
    breaks: 'S16',
    patches: [
      {
        file: 'net/brake.ts',
        find: 'if (braked ? changed : collapses) this.#untilMs = nowMs + isolationHoldMs',
        replace: 'this.#untilMs = null; void [braked, changed, collapses, isolationHoldMs]',
      },
    ],
  },
  {
    name: 'deaf-to-silence',
    bug: 'a member counts as lost only once its connection is closed',
    breaks: 'L3',
    patches: [
      {
        file: 'net/failure-detector.ts',
        find: 'if (watch.alert !== null || nowMs < watch.overdueAtMs(patienceMs)) continue',
        replace:
          'if (watch.alert !== null || nowMs < watch.overdueAtMs(patienceMs) || this.#roster.isConnected(id)) continue',
      },
    ],
  },
  {
    name: 'one-accuser',
    bug: 'the word of one observer convicts',
    breaks: 'L3',
    patches: [
      {
        file: 'net/conviction.ts',
        find: 'Math.min(ACCUSERS_MAX, Math.floor(voters / 2) + 1)',
        replace: 'Math.min(1, ACCUSERS_MAX, Math.floor(voters / 2) + 1)',
      },
      { file: 'net/conviction.ts', find: 'Math.min(2, living)', replace: 'Math.min(1, living)' },
    ],
  },
  {
    name: 'dial-once',
    bug: 'a member that could not be reached twice is never dialled again',
    breaks: 'L3',
    patches: [
      {
        file: 'net/dialler.ts',
        find: 'line.dialAtMs = nowMs + backoffMs * (0.5 + this.#random.next() / 2)',
        replace:
          'line.dialAtMs = line.failures > 2 ? Infinity : nowMs + backoffMs * (0.5 + this.#random.next() / 2)',
      },
    ],
  },
  {
    name: 'never-refute',
    bug: 'a member that hears an alert on itself says nothing to it',
    breaks: 'L3',
    patches: [
      {
        file: 'net/failure-detector.ts',
        find: 'if (!this.#refutation.due(accusers.length > 0, convicted, nowMs)) return',
        replace: 'if (!this.#refutation.due(accusers.length > 0, convicted, nowMs) || nowMs >= 0) return',
      },
    ],
  },
]
