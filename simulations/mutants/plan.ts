// Planted bugs of the mind: placement, rollouts, moves, and what is said of slots that are not as desired.

import type { Mutant } from './mutant.ts'

export const PLAN_MUTANTS: readonly Mutant[] = [
  {
    name: 'iterate-unsorted',
    bug: 'services are placed in the order in which they are listed',
    breaks: 'S5',
    patches: [
      {
        file: 'node/plan/electorate.ts',
        find: 'services.toSorted((a, b) => compareStrings(a.id, b.id))',
        replace: '(void compareStrings, services)',
      },
    ],
  },
  {
    name: 'prefer-oneself',
    bug: 'a peer places the slots of even numbers on itself',
    breaks: 'S5',
    patches: [
      {
        file: 'node/plan/placement.ts',
        find: 'member: memberAt(electorate, outcome.member),',
        replace: 'member: race.hash % 2 === 0 ? input.self : memberAt(electorate, outcome.member),',
      },
    ],
  },
  {
    name: 'own-version',
    bug: 'a peer acts on its own placement version, whatever others speak',
    breaks: 'S5',
    patches: [
      {
        file: 'node/plan/placement-version.ts',
        find: 'Math.min(version, input.statuses.get(id)?.facts?.placementVersionMax ?? version)',
        replace: '(void input.statuses.get(id), version)',
      },
    ],
  },
  {
    name: 'ignore-capacity',
    bug: 'a slot starts whether there is room or not',
    breaks: 'S7',
    patches: [
      {
        file: 'node/plan/gates.ts',
        find: 'if (cpus > 0 && cpus > cpusFree)',
        replace: 'if (cpus > 0 && cpus > cpusFree && false)',
      },
      {
        file: 'node/plan/check-plan.ts',
        find: 'if (starts.length === 0) return []',
        replace: 'if (starts.length >= 0) return []',
      },
    ],
  },
  {
    name: 'stopping-is-gone',
    bug: 'an instance that still ends takes no room',
    breaks: 'S7',
    patches: [
      {
        file: 'node/plan/gates.ts',
        find: 'if (gone.has(instance.id)) continue',
        replace: "if (gone.has(instance.id) || instance.phase === 'stopping') continue",
      },
      {
        file: 'node/plan/check-plan.ts',
        find: '...input.local.filter(({ id }) => !forgotten.has(id))',
        replace: "...input.local.filter(({ id, phase }) => !forgotten.has(id) && phase !== 'stopping')",
      },
    ],
  },
  {
    name: 'stop-before-ready',
    bug: 'the old release ends as soon as the new one is placed',
    breaks: 'S8',
    patches: [
      {
        file: 'node/plan/sorting.ts',
        find: "if (ready === 'ready' || ready === 'stopped') {",
        replace: 'if (ready !== undefined) {',
      },
      {
        file: 'node/plan/check-plan.ts',
        find: 'return !readyElsewhere(input, instance)',
        replace: 'return !readyElsewhere(input, instance) && false',
      },
    ],
  },
  {
    name: 'move-before-ready',
    bug: 'a slot that is placed elsewhere ends here at once',
    breaks: 'S8',
    patches: [
      {
        file: 'node/plan/sorting.ts',
        find: "if (service.update.order === 'stop-first') {\n    for (const instance of instances)\n      buckets.dropped.push({ instance, reason: `stop-first: it makes way for ${name}` })",
        replace:
          '{\n    for (const instance of instances)\n      buckets.dropped.push({ instance, reason: `it makes way for ${name}` })',
      },
      {
        file: 'node/plan/check-plan.ts',
        find: 'return !readyElsewhere(input, instance)',
        replace: 'return !readyElsewhere(input, instance) && false',
      },
    ],
  },
  {
    name: 'no-waves',
    bug: 'all slots of a service change their release at once',
    breaks: 'S8',
    patches: [
      {
        file: 'node/plan/gates.ts',
        find: 'if (unready.length < parallelism) return null',
        replace: 'if (unready.length >= 0) return null',
      },
    ],
  },
  {
    name: 'canary-unguarded',
    bug: 'the word that lets a canary begin lets every slot begin',
    breaks: 'S8',
    patches: [
      {
        file: 'node/plan/rollout/words.ts',
        find: "word.phase === 'done' || word.open > seat",
        replace: "word.phase === 'done' || word.open + 0 * seat > 0",
      },
      {
        file: 'node/plan/gates.ts',
        find: 'if (unready.length < parallelism) return null',
        replace: 'if (unready.length < parallelism + 9) return null',
      },
    ],
  },
  {
    name: 'hook-not-awaited',
    bug: 'slots of a release begin while its hook still runs',
    breaks: 'S8',
    patches: [
      {
        file: 'node/plan/rollout/pre-deploy.ts',
        find: "if (own?.state === 'running') return own",
        replace: "if (own?.state === 'running') return null",
      },
    ],
  },
  {
    name: 'canary-for-ever',
    bug: 'a canary that has proven itself is never followed by another slot',
    breaks: 'L5',
    patches: [
      {
        file: 'node/plan/rollout/judge.ts',
        find: 'return nextWave(given, verified, ready)',
        // Without `stay`, whose deadline would end it.
        replace:
          'return (void nextWave, { word: verified, memory: ready, duty: null, waiting: "goes on", wakeAtMs: null })',
      },
    ],
  },
  {
    name: 'take-over-at-once',
    bug: 'the slots of a dead member move before its reschedule delay is over',
    breaks: 'L4',
    patches: [
      {
        file: 'node/plan/eligibility.ts',
        find: 'if (nowMs < member.sinceMs + policy.rescheduleAfterMs)\n    return',
        replace: 'if (nowMs < member.sinceMs)\n    return',
      },
      {
        file: 'node/plan/eligibility.ts',
        find: ': Math.max(member.sinceMs + policy.rescheduleAfterMs, brakedUntilMs ?? -Infinity)',
        replace: ': Math.max(member.sinceMs, brakedUntilMs ?? -Infinity)',
      },
    ],
  },
  {
    name: 'no-homes',
    bug: 'a loss has every slot elected anew',
    breaks: 'L4',
    patches: [
      {
        file: 'node/plan/homes.ts',
        find: 'if (whole === null) new',
        replace: 'if (whole !== undefined) new',
      },
    ],
  },
  {
    name: 'stuck-wave',
    bug: 'a rollout waits for slots that are ready',
    breaks: 'L5',
    patches: [
      {
        file: 'node/plan/gates.ts',
        find: "if (state !== 'ready' && state !== 'stopped') unready.push(lower.slot)",
        replace: "if (state !== 'stopped') unready.push(lower.slot)",
      },
    ],
  },
  {
    name: 'quiet-unfulfilled',
    bug: 'a slot that is overdue is not reported',
    breaks: 'L2',
    patches: [
      {
        file: 'node/plan/make-plan.ts',
        find: 'if (nowMs - sinceMs >= deadlineMs) {',
        replace: 'if (nowMs - sinceMs >= deadlineMs && nowMs < 0) {',
      },
    ],
  },
]
