// Completion in the shell: of commands, options and the names that the peer knows.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runProgram } from '../../cli/program.ts'
import { bufferedIo, tutti } from './fake.ts'
import { shopPeer } from './shop-peer.ts'

const { peer } = await shopPeer()

describe('tutti completion', () => {
  const complete = async (...words: readonly string[]): Promise<string[]> => {
    const { io, out } = bufferedIo({ peer })
    await runProgram(['__complete', '--', ...words], io)
    return out.join('').trimEnd().split('\n')
  }

  it('completes commands, subcommands, options and names', async () => {
    assert.deepEqual(await complete('st'), ['stop', 'start', 'status'])
    assert.deepEqual(await complete('peers', 'c'), ['cordon'])
    assert.deepEqual(await complete('apply', '--t'), ['--token', '--timeout'])
    assert.deepEqual(await complete('logs', 'shop/'), ['shop/web', 'shop/web/0', 'shop/cart/0'])
    assert.deepEqual(await complete('scale', 'shop/web=2', 's'), ['shop/web='])
    assert.deepEqual(await complete('completion', ''), ['bash', 'zsh', 'fish'])
    assert.deepEqual(await complete('apply', '-f', ''), [''])
  })

  it('prints a script for each shell', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      assert.match((await tutti(['completion', shell])).stdout, /tutti __complete --/)
    }
  })
})
