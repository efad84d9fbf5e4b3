// The groups of commands: what a command line has built of the tree.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Command } from 'commander'
import { Frame } from '../../../cli/tree/frame.ts'
import { GROUPS, groupsFor } from '../../../cli/tree/groups.ts'
import { bufferedIo } from '../fake.ts'

describe('groups of commands', () => {
  it('have exactly the commands that they name, and no two the same', () => {
    for (const { add, names } of GROUPS) {
      const root = new Command('tutti').enablePositionalOptions()
      add(root, new Frame(bufferedIo().io))
      assert.deepEqual(
        root.commands.map((command) => command.name()),
        names,
      )
    }
    const all = GROUPS.flatMap(({ names }) => names)
    assert.equal(new Set(all).size, all.length)
  })

  it('are built alone for a line that begins with one of their commands, and all of them for any other', () => {
    assert.deepEqual(
      groupsFor(['apply', '-f', 'cell.yaml']).map(({ names }) => names[0]),
      ['apply'],
    )
    for (const words of [[], ['--peer', 'ps', 'apply'], ['help', 'apply'], ['aply'], ['completion', 'bash']])
      assert.equal(groupsFor(words), GROUPS)
  })
})
