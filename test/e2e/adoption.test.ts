// What the instances of a peer are spared: its crash, its orderly end, its upgrade. And what its next start must not take for
// its own: another's process, a past boot's, a record that cannot be read. One peer and its disk; test/e2e/death.test.ts
// has the same seen from the rest of the cluster, driver.test.ts the single instance.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFileSync, cpSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { execPath } from 'node:process'
import { describe, it } from 'node:test'
import { recordLine, replay } from '../../node/act/drivers/process/record-log.ts'
import type { EventsReply } from '../../node/serve/api/contract-streams.ts'
import {
  applyOf,
  fingerprint,
  idle,
  type Instance,
  ready,
  service,
  until,
  withFleet,
} from './support/fleet.ts'
import { isRunning, strays } from './support/leftovers.ts'
import type { Fleet, Peer } from './support/fleet.ts'

const MANY = 50

const restartsOf = (instances: readonly Instance[]): number =>
  instances.reduce((sum, { restarts }) => sum + restarts, 0)

const recordsOf = (peer: Peer): string => join(peer.data, 'instances', 'records')

const alone = async (fleet: Fleet): Promise<Peer> => {
  const [peer] = await fleet.grow(1)
  assert.ok(peer !== undefined)
  return peer
}

/** Lines of a service that the peer has, newest last. */
const linesOf = async (peer: Peer, slot: string): Promise<readonly string[]> => {
  const { stdout } = await peer.cli('logs', '-n', '5', slot)
  return stdout.split('\n').filter((line) => line !== '')
}

/** Prints a number that grows. */
const talkative = ['sh', '-c', 'n=0; while :; do n=$((n + 1)); echo "line $n"; sleep 0.2; done']

describe('adoption', () => {
  it(`after kill -9 of the peer under ${MANY} instances: same pids, no restart, still logged and still probed (S10)`, () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const health = join(fleet.directory, 'health')
      writeFileSync(health, 'yes')
      await peer.change(
        applyOf(
          idle('web', { replicas: MANY }),
          service('talk', talkative, {
            healthcheck: {
              kind: 'command',
              command: ['grep', '-q', 'yes', health],
              intervalMs: 100,
              timeoutMs: 5000,
              retries: 1,
              startPeriodMs: 0,
            },
          }),
        ),
      )
      const before = [...(await ready(peer, 'web', MANY)), ...(await ready(peer, 'talk', 1))]
      await peer.end('SIGKILL')
      assert.ok(before.every(({ pid }) => pid !== null && isRunning(pid)))
      await peer.up()
      const after = [...(await ready(peer, 'web', MANY)), ...(await ready(peer, 'talk', 1))]
      assert.deepEqual(fingerprint(after), fingerprint(before))
      assert.equal(restartsOf(after), 0)
      const last = (await linesOf(peer, 'e2e/talk/0')).at(-1)
      await until('it is logged further', async () => {
        const now = (await linesOf(peer, 'e2e/talk/0')).at(-1)
        return now !== undefined && now !== last
      })
      writeFileSync(health, 'no')
      await until('it is probed further', async () => {
        const { instances } = await peer.instances()
        return instances.some(({ service: name, state }) => name === 'talk' && state === 'failing')
      })
    }))

  it('after SIGTERM of the peer, an upgrade in place and back: bundle, sources, bundle over one data directory (S10)', () =>
    withFleet(async (fleet) => {
      const root = resolve(import.meta.dirname, '../..')
      // A second installation beside this one, so that neither build is disturbed: it has no dist/ and runs its sources.
      const other = join(fleet.directory, 'other')
      for (const name of ['bin', 'cli', 'crdt', 'lib', 'net', 'node', 'package.json'])
        cpSync(join(root, name), join(other, name), { recursive: true })
      symlinkSync(join(root, 'node_modules'), join(other, 'node_modules'))
      const peer = await alone(fleet)
      await peer.change(applyOf(idle('web', { replicas: 5 })))
      const before = await ready(peer, 'web', 5)
      const digest = await peer.digest()
      for (const program of [join(other, 'bin/tutti'), undefined]) {
        await peer.end('SIGTERM')
        assert.ok(before.every(({ pid }) => pid !== null && isRunning(pid)))
        await peer.up([], program)
        const after = await ready(peer, 'web', 5)
        assert.deepEqual(fingerprint(after), fingerprint(before))
        assert.equal(restartsOf(after), 0)
        assert.equal(await peer.digest(), digest)
      }
    }))

  it('knows afterwards how and when an instance ended while the peer was away (S10)', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const gate = join(fleet.directory, 'gate')
      const wait = ['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.05; done; exit 42', gate]
      const restart = {
        condition: 'none',
        delayMs: 0,
        delayMaxMs: 0,
        attemptsMax: null,
        windowMs: 0,
      } as const
      await peer.change(applyOf(service('once', wait, { restart })))
      const [one] = await ready(peer, 'once', 1)
      assert.ok(one !== undefined && one.pid !== null)
      await peer.end('SIGKILL')
      writeFileSync(gate, '')
      const { pid } = one
      await until('it has ended', () => !isRunning(pid))
      const endedAt = Date.now()
      // Long enough to tell the end from the return: `since` is the end's own time.
      await until('a second has passed', () => Date.now() - endedAt > 1500)
      await peer.up()
      const after = await until('its end is known', async () => {
        const { instances } = await peer.instances()
        return instances.find(({ service: name, reason }) => name === 'once' && /42/.test(reason))
      })
      assert.ok(Math.abs(after.since - endedAt) < 1000, `${after.since} is not ${endedAt}`)
      const { events } = await peer.get<EventsReply>('/v1/events')
      assert.ok(events.some(({ subject, message }) => subject.startsWith(after.slot) && /42/.test(message)))
    }))

  it('takes no stranger, nothing of a past boot and no damaged record for its own, and the slots start anew (S6, S10)', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      await peer.change(applyOf(idle('web', { replicas: 3, stopGraceMs: 0 })))
      const before = await ready(peer, 'web', 3)
      await peer.end('SIGKILL')
      const stranger = spawn(execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
      try {
        const path = join(recordsOf(peer), 'log')
        const [reused, rebooted, damaged] = replay(readFileSync(path)).records
        assert.ok(reused !== undefined && rebooted !== undefined && damaged !== undefined)
        const run = join(peer.data, 'instances', 'runs', reused.record.nonce)
        const stat = readFileSync(`/proc/${stranger.pid}/stat`, 'latin1')
        const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
        // Its pid was given to another process meanwhile: even the start time fits, only the nonce cannot.
        appendFileSync(join(run, 'told'), `shim ${stranger.pid} ${startTime}\n`)
        const lines = [damaged, reused, { ...rebooted, boot: 'another' }].map(recordLine)
        writeFileSync(path, lines.join('').replace('"format":1', '"format":7'))
        await peer.up()
        const after = await until('three new ones are ready', async () => {
          const all = (await peer.instances()).instances.filter(({ state }) => state === 'ready')
          const old = new Set(before.map(({ pid }) => pid))
          return all.length === 3 && all.every(({ pid }) => !old.has(pid)) && all
        })
        assert.deepEqual(
          before.filter(({ pid }) => pid !== null && isRunning(pid)),
          [],
          'what was not adopted runs on beside its replacement',
        )
        assert.equal(new Set(after.map(({ index }) => index)).size, 3)
        assert.ok(stranger.exitCode === null && stranger.signalCode === null, 'a stranger was ended')
        assert.ok(readdirSync(recordsOf(peer)).some((name) => name.endsWith('.damaged')))
        const sleeps = strays(fleet.directory).filter((pid) =>
          /^[^\0]*sleep\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1')),
        )
        assert.equal(sleeps.length, 3)
      } finally {
        stranger.kill('SIGKILL')
      }
    }))
})
