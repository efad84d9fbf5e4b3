// The hands as a peer has them, over real processes.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { silentLog } from '../../../lib/log.ts'
import { seededRandom } from '../../../lib/random.ts'
import { createHands } from '../../../node/act/hands.ts'
import { lives } from './support/bed.ts'
import { actOn, startOf, stopOf } from './support/actions.ts'
import { systemClock } from '../../../node/clock.ts'
import { until } from '../../support/until.ts'

describe('built hands', () => {
  const server = `require('http').createServer((q, r) => r.end('ok')).listen(process.env.PORT)`
  const withFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'tutti-hands-'))
    try {
      await use(folder)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  const build = (folder: string) =>
    createHands({
      folder,
      clock: systemClock,
      log: silentLog,
      random: seededRandom('hands'),
      peer: { id: folder, name: 'a', environment: process.env },
      linkEnvironment: async () => await Promise.resolve({}),
    })

  it('brings a server up, sees it ready, adopts it ready, and stops it', async () => {
    await withFolder(async (folder) => {
      const healthcheck = {
        kind: 'http',
        path: '/',
        intervalMs: 5000,
        timeoutMs: 2000,
        retries: 3,
        startPeriodMs: 0,
      } as const
      const start = startOf([process.execPath, '-e', server], { ports: { http: 0 }, healthcheck })
      const before = build(folder)
      await before.hands.start({ changed: () => undefined })
      before.hands.execute([start])
      await until(() => before.hands.observe()[0]?.probe.everOk === true)
      await before.close()
      const after = build(folder)
      await after.hands.start({ changed: () => undefined })
      const [found] = after.hands.observe()
      assert.deepEqual([found?.phase, found?.probe.everOk], ['running', true])
      assert.ok(lives(found?.pid ?? 0))
      after.hands.execute([stopOf(start)])
      await until(() => after.hands.observe()[0]?.phase === 'exited')
      assert.deepEqual([lives(found?.pid ?? 0), after.hands.observe()[0]?.failuresInARow], [false, 0])
      await after.close()
    })
  })

  it('keeps the last words of what crashed', async () => {
    await withFolder(async (folder) => {
      const built = build(folder)
      const { hands, output } = built
      await hands.start({ changed: () => undefined })
      const start = startOf(['sh', '-c', 'echo fine; echo "cannot open the database" >&2; exit 1'])
      hands.execute([start])
      await until(() => hands.observe()[0]?.phase === 'exited')
      assert.deepEqual((await output.lastLines(start.instance, 5)).toSorted(), [
        'cannot open the database',
        'fine',
      ])
      hands.execute([actOn(start, 'forget')])
      await until(() => hands.observe().length === 0)
      assert.equal((await output.lastLines(start.instance, 5)).length, 2)
      await built.close()
    })
  })

  it('says in one sentence why a fixed port cannot be had', async () => {
    await withFolder(async (folder) => {
      const stranger = createServer()
      await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
      const address = stranger.address()
      assert.ok(address !== null && typeof address === 'object')
      const built = build(folder)
      const { hands } = built
      await hands.start({ changed: () => undefined })
      hands.execute([startOf(['sleep', '600'], { ports: { http: address.port } })])
      await until(() => hands.observe()[0]?.phase === 'broken')
      assert.match(hands.observe()[0]?.error ?? '', /is in use on this machine/)
      await built.close()
      stranger.close()
    })
  })
})
