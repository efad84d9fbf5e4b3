// S6 and what supervision rests on: a process starts on a machine only while that machine's own peer runs, or as the heir
// that this peer prepared while it ran, and is started by nobody else. Processes outlive their peer, so only starts are
// asked about.

import type { Machine } from '../machine.ts'
import type { Checker } from './checker.ts'

const isHeir = ({ processes }: Machine, nonce: string): boolean =>
  processes.processes().some(({ record, heirOf }) => record.nonce === nonce && heirOf !== null)

export const ownHands = (): Checker => ({
  invariant: 'S6',
  spawned: (_scene, machine, { instance, nonce }) =>
    machine.running || isHeir(machine, nonce)
      ? []
      : [`${instance} was started on ${machine.name}, whose peer does not run`],
})
