// What asks for confinement runs where it can be had: peers without the programs for it take no such slot, say why, and
// take it once the program is there.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { applyOf, idle, ready, until, withFleet } from './support/fleet.ts'

const BUBBLEWRAP = '/usr/bin/bwrap'
const SETPRIV = '/usr/bin/setpriv'

describe('confinement', () => {
  it('decides where a slot runs, and explain says why not elsewhere', () =>
    withFleet(async (fleet) => {
      const peers = await fleet.grow(3, (at) => ({
        name: `p${at}`,
        ...(at === 0 ? { missing: [BUBBLEWRAP] } : at === 1 ? { missing: [SETPRIV] } : {}),
      }))
      const [first] = peers
      assert.ok(first !== undefined)
      await first.change(
        applyOf(
          idle('boxed', { isolation: 'sandbox', replicas: 6 }),
          idle('other', { user: 'nobody', replicas: 6 }),
          idle('plain', { mode: 'global' }),
        ),
      )
      const boxed = await ready(first, 'boxed', 6)
      assert.deepEqual(new Set(boxed.map(({ peer }) => peer)), new Set(['p1', 'p2']))
      const other = await ready(first, 'other', 6)
      assert.deepEqual(new Set(other.map(({ peer }) => peer)), new Set(['p0', 'p2']))
      await ready(first, 'plain', 3)
      const { stdout } = await first.cli('explain', 'e2e/boxed/0')
      assert.match(stdout, /p0.*cannot isolate: bubblewrap is not installed/)
      const { stdout: users } = await first.cli('explain', 'e2e/other/0')
      assert.match(users, /p1.*cannot change to user nobody: setpriv is not installed/)
    }))

  it('that nobody can give is unfulfilled with the reason, until somebody can', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1, (at) => ({ name: `p${at}`, missing: [BUBBLEWRAP] }))
      assert.ok(peer !== undefined)
      const file = join(fleet.directory, 'cell.yaml')
      await writeFile(
        file,
        'name: e2e\nservices:\n  boxed: { isolation: sandbox, command: [sleep, "100000"] }\n',
      )
      const { stdout, stderr } = await peer.cli('plan', '-f', file)
      assert.match(stdout + stderr, /cannot isolate: bubblewrap is not installed/)
      assert.equal((await peer.cli('apply', '-f', file, '--yes', '--no-wait')).code, 0)
      await until('it is reported', async () =>
        /cannot isolate: bubblewrap is not installed/.test((await peer.cli('status')).stdout),
      )
      execFileSync('nsenter', ['--target', String(peer.pid), '--mount', 'umount', BUBBLEWRAP])
      await ready(peer, 'boxed', 1)
    }))
})
