// The commands in groups, in the order of the help. A command line that begins with a command's name has only that command's
// group built: to build all of them takes as long as a peer takes to answer.

import type { Command } from 'commander'
import { addCellCommands } from './cells.ts'
import type { Frame } from './frame.ts'
import { addHistoryCommands, addRollbackCommands } from './history.ts'
import { addLookCommands, addShellCommands } from './look.ts'
import { addMachineCommands } from './machine.ts'
import { addPackageCommands } from './packages.ts'
import { addReleaseCommands } from './releases.ts'
import { addSimulateCommands } from './simulate.ts'

export interface Group {
  /** Above the group in the help; null: it goes on with the one before. */
  readonly heading: string | null
  /** Of its commands. */
  readonly names: readonly string[]
  readonly add: (root: Command, frame: Frame) => void
}

export const GROUPS: readonly Group[] = [
  {
    heading: 'Machines:',
    names: [
      'up',
      'invite',
      'join',
      'peers',
      'voters',
      'install-service',
      'uninstall-service',
      'doctor',
      'demo',
    ],
    add: addMachineCommands,
  },
  {
    heading: 'Cells and services:',
    names: ['apply', 'plan', 'scale', 'restart', 'stop', 'start', 'rollout', 'rm'],
    add: addCellCommands,
  },
  { heading: null, names: ['rollback', 'resolve'], add: addRollbackCommands },
  { heading: null, names: ['release', 'serve-builds'], add: addReleaseCommands },
  { heading: null, names: ['package'], add: addPackageCommands },
  {
    heading: 'Looking:',
    names: ['ls', 'ps', 'status', 'logs', 'exec', 'explain', 'events'],
    add: addLookCommands,
  },
  { heading: null, names: ['history', 'diff', 'conflicts'], add: addHistoryCommands },
  { heading: null, names: ['simulate', 'rebalance'], add: addSimulateCommands },
  { heading: 'Shell:', names: ['completion', '__complete'], add: addShellCommands },
]

/** What to build for these words: all, where the first one names no command or asks about commands. */
export const groupsFor = ([first = '']: readonly string[]): readonly Group[] => {
  const named = GROUPS.filter(({ names }) => names.includes(first) && !ABOUT_COMMANDS.includes(first))
  return named.length === 0 ? GROUPS : named
}

/** They look at the whole tree. */
const ABOUT_COMMANDS = ['completion', '__complete']
