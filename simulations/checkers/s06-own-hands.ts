// S6 and what supervision rests on: a process starts on a machine only while that machine's own peer runs, and is started
// by nobody else. Processes outlive their peer, so only starts are asked about.

import type { Checker } from './checker.ts'

export const ownHands = (): Checker => ({
  invariant: 'S6',
  spawned: (_scene, machine, { instance }) =>
    machine.running ? [] : [`${instance} was started on ${machine.name}, whose peer does not run`],
})
