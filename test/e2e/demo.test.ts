// `tutti demo`: gets ready, answers, and Ctrl-C leaves nothing: no process, no directory.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, it } from 'node:test'
import { atExit, dataOfChildren, killStrays, strays } from './support/leftovers.ts'
import { TUTTI } from './support/peer.ts'
import { Hopeless, until } from './support/wait.ts'

const DEMO_TIMEOUT_MS = 90_000

describe('tutti demo', () => {
  for (const [when, upTo] of [
    ['when it is ready', /Ctrl-C removes it all/],
    ['half-way', /join it by ticket/],
  ] as const) {
    it(`removes everything at Ctrl-C ${when}`, async () => {
      const child = spawn(TUTTI, ['demo'], { stdio: ['ignore', 'pipe', 'pipe'] })
      let output = ''
      child.stdout.on('data', (data: Buffer) => (output += data.toString()))
      child.stderr.on('data', (data: Buffer) => (output += data.toString()))
      const release = atExit(() => child.kill('SIGKILL'))
      let root = ''
      const ended = new Promise<number | null>((done) => child.once('close', done))
      try {
        await until(
          'the demo is there',
          () => {
            if (child.exitCode !== null) throw new Hopeless(output)
            return upTo.test(output)
          },
          DEMO_TIMEOUT_MS,
        )
        root = await until('its directory', () => {
          const [data] = dataOfChildren(child.pid ?? 0)
          return data === undefined ? null : dirname(data)
        })
        if (when === 'when it is ready') {
          const address = /curl (http:\S+)/.exec(output)?.[1]
          assert.ok(address !== undefined, output)
          const reply = await fetch(address)
          assert.equal(reply.status, 200)
          await reply.text()
        }
        child.kill('SIGINT')
        const code = await ended
        assert.equal(code, when === 'when it is ready' ? 0 : 130, output)
        assert.deepEqual(strays(root), [])
        assert.ok(!existsSync(root), `${root} is still there`)
      } finally {
        child.kill('SIGKILL')
        if (root !== '') killStrays(root)
        release()
      }
    })
  }
})
