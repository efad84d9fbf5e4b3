// Planted bugs of supervision: what becomes of processes, and what a peer says of them. Where the bug would be in the
// executor, whose place scripted hands take in simulations, it is planted in these.

import type { Mutant } from './mutant.ts'

export const SUPERVISION_MUTANTS: readonly Mutant[] = [
  {
    name: 'start-before-record',
    bug: 'a process starts before its record is written: a crash in between makes a stranger of it',
    breaks: 'S10',
    patches: [
      {
        file: 'simulations/hands.ts',
        find: 'for (const process of this.#machine.take()) this.#adopt(process)',
        replace:
          'for (const process of this.#machine.take())\n      if (process.record.runs > 1 || this.#machine.clock.now() - process.startedAtMs > 5000) this.#adopt(process)',
      },
    ],
  },
  {
    name: 'keep-orphans',
    bug: 'what is left of a process group outlives its leader',
    breaks: 'S10',
    patches: [
      {
        file: 'simulations/hands.ts',
        find: 'successor: ScriptedProcess | null): void {\n    this.#machine.endGroup(record.nonce)',
        replace: 'successor: ScriptedProcess | null): void {',
      },
    ],
  },
  {
    name: 'adopt-by-pid',
    bug: 'after a reboot whatever has the pid of an instance is taken for it',
    breaks: 'S10',
    patches: [
      {
        file: 'node/plan/facts.ts',
        find: "phase: pid === null ? 'exited' : 'running',",
        replace: "phase: pid === null && end?.code !== null ? 'exited' : 'running',",
      },
    ],
  },
  {
    name: 'never-forget',
    bug: 'an instance that has ended and is not wanted stays on record',
    breaks: 'S10',
    patches: [
      {
        file: 'node/plan/reconcile.ts',
        find: "turn.actions.push({ kind: 'forget', instance: id, reason })\n    return true",
        replace: 'return false',
      },
    ],
  },
  {
    name: 'heir-without-record',
    bug: 'a successor is prepared that no record names: what followed a dead peer is a stranger to the next',
    breaks: 'S10',
    patches: [
      {
        file: 'simulations/processes.ts',
        find: '    entry.onDisk = record\n    entry.heir = ',
        replace: '    entry.onDisk = entry.process.record\n    entry.heir = ',
      },
      // The nonce is on record from the start of a run; a peer that says so only now must write it now.
      {
        file: 'simulations/hands.ts',
        find: 'const record = { ...recordOf(held.facts, held.nonce, held.heirNonce), runs: runs + 1 }',
        replace: 'const record = { ...recordOf(held.facts, held.nonce), runs: runs + 1 }',
      },
    ],
  },
  {
    name: 'claim-not-exclusive',
    bug: 'a stop and the successor of what it stops both take place',
    breaks: 'S10',
    patches: [
      {
        file: 'simulations/processes.ts',
        find: 'if (entry !== undefined) entry.heir = null',
        replace: 'if (entry === undefined) return',
      },
      {
        file: 'simulations/hands.ts',
        find: 'if (successor === null) this.#exited(held, exit)',
        replace: "if (successor === null || held.facts.phase === 'stopping') this.#exited(held, exit)",
      },
      {
        file: 'simulations/hands.ts',
        find: 'this.#machine.forget(action.instance)',
        replace: '',
      },
    ],
  },
  {
    name: 'blind-to-exits',
    bug: 'what happens to a process is looked at only when something else happens',
    breaks: 'S15',
    patches: [
      {
        file: 'node/agent.ts',
        find: "hands.start({ changed: (urgent) => this.#passes.dirty(urgent ? 'now' : 'soon') })",
        replace: 'hands.start({ changed: () => undefined })',
      },
    ],
  },
  {
    name: 'no-backoff',
    bug: 'what ends is started again at once',
    breaks: 'L6',
    patches: [
      {
        file: 'node/plan/restart.ts',
        find: 'return delayMs - Math.floor((delayMs * off) / JITTER_SCALE)',
        replace: 'return 0 * (delayMs - Math.floor((delayMs * off) / JITTER_SCALE))',
      },
    ],
  },
  {
    name: 'restate-every-pass',
    bug: 'every pass makes a new status, although nothing has changed',
    breaks: 'L2',
    patches: [
      {
        file: 'node/agent/reporter.ts',
        find: 'const since = before?.state === report.state ? before.since : this.#since(input, here)',
        replace: 'const since = Math.floor(this.#options.wall())',
      },
      {
        file: 'node/agent/reporter.ts',
        find: 'if (before !== undefined && source?.here === here && isAlike(source?.report, report)) {',
        replace: 'if (isAlike(undefined, report)) {',
      },
    ],
  },
  {
    name: 'wait-for-the-disk',
    bug: 'while the disk refuses writes, nothing is done for what runs',
    breaks: 'S15',
    patches: [
      {
        file: 'node/agent.ts',
        find: 'if (this.#caughtUp !== null) return null\n    const input: PlanInput',
        replace:
          'if (this.#caughtUp !== null || this.#storageTrouble !== null) return null\n    const input: PlanInput',
      },
    ],
  },
]
