// An incident played again: real peers live through a deploy, a crash-looping service and a death, `tutti doctor --journal`
// exports what one of them saw, and the simulator decides all of it alike.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { applyOf, idle, ready, service, until, withFleet } from './support/fleet.ts'

const run = promisify(execFile)
const simulator = resolve(import.meta.dirname, '../../simulations/main.ts')

const replay = async (file: string): Promise<string> =>
  (await run(process.execPath, [simulator, '--journal', file])).stdout

describe('tutti doctor --journal', () => {
  it('exports what a peer decided, and a replay decides it alike, byte by byte', async () => {
    await withFleet(async (fleet) => {
      const [first, second, third] = await fleet.grow(3)
      assert.ok(first !== undefined && second !== undefined && third !== undefined)
      await first.change(applyOf(idle('web', { replicas: 4 }), service('loop', ['false'], { replicas: 1 })))
      await ready(first, 'web', 4)
      await third.end('SIGKILL')
      await until('it is dead', async () => (await first.sees('p2')).state === 'dead')
      await ready(first, 'web', 4)
      for (const peer of [first, second]) {
        const file = join(peer.data, 'journal')
        const { code, stdout, stderr } = await peer.cli('doctor', '--journal', file)
        assert.equal(code, 0, stderr)
        assert.match(stdout, /^\d+ decisions written to .*journal; it holds the environment of services/)
        assert.equal((await stat(file)).mode & 0o777, 0o600)
        const told = await replay(file)
        assert.match(
          told,
          /^\d+ passes of 12D3KooW\w+, version \S+, from \S+ to \S+; [1-9]\d* of them acted\n/,
        )
        assert.match(told, /every decision is the recorded one, byte by byte\n$/)
      }
    })
  })
})
