// What a restart without its peer promises: an instance whose peer is frozen or dead is started again once, in the time of
// a fork, and the peer knows afterwards; what is stopped stays stopped; what a run left is ended before the next begins.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { EventsReply } from '../../node/serve/api/contract-streams.ts'
import { applyOf, ready, service, until, withFleet, type Fleet, type Peer } from './support/fleet.ts'
import { isRunning } from './support/leftovers.ts'

const AT_ONCE = { condition: 'any', delayMs: 0, delayMaxMs: 0, attemptsMax: null, windowMs: 10_000 } as const

const alone = async (fleet: Fleet): Promise<Peer> => {
  const [peer] = await fleet.grow(1)
  assert.ok(peer !== undefined)
  return peer
}

/** Runs whose shims have a successor to become. */
const armed = (peer: Peer): number => {
  const runs = join(peer.data, 'instances', 'runs')
  return readdirSync(runs).filter((run) => existsSync(join(runs, run, 'heir'))).length
}

const untilArmed = (peer: Peer, count: number): Promise<boolean> =>
  until(`${count} heirs are prepared`, async () => armed(peer) === count)

/** Living children of an instance's shim: its program. */
const programOf = (pid: number): number | undefined =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((child) => {
      try {
        const text = readFileSync(`/proc/${child}/stat`, 'latin1')
        const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
        return Number(parent) === pid && state !== 'Z'
      } catch {
        return false
      }
    })

/** Kills the program of an instance; resolves with the pid of the next one. */
const crash = async (pid: number): Promise<number> => {
  const program = await until('the program is there', async () => programOf(pid))
  process.kill(program, 'SIGKILL')
  return await until('the next program is there', async () => {
    const next = programOf(pid)
    return next !== program && next
  })
}

const startOne = async (peer: Peer, command: readonly string[] = ['sleep', '3600']): Promise<number> => {
  await peer.change(applyOf(service('web', command, { restart: AT_ONCE })))
  const [instance] = await ready(peer, 'web', 1)
  assert.ok(instance !== undefined && instance.pid !== null)
  await untilArmed(peer, 1)
  return instance.pid
}

describe('an heir', () => {
  it('follows a crash; the peer counts it, knows how the run ended, and prepares the next', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const pid = await startOne(peer)
      for (const restarts of [1, 2]) {
        await untilArmed(peer, 1)
        await crash(pid)
        const again = await until('it is ready again', async () => {
          const { instances } = await peer.instances()
          return instances.find((one) => one.state === 'ready' && one.restarts === restarts)
        })
        assert.equal(again.pid, pid, 'the shim is the same process')
        assert.deepEqual([again.exit?.code, again.exit?.signal], [null, 'SIGKILL'])
      }
      const { events } = await peer.get<EventsReply>('/v1/events')
      assert.ok(events.some(({ message }) => message.includes('its last run was ended by SIGKILL')))
    }))

  it('follows while its peer is frozen, once, and is known when the peer wakes (S10)', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const pid = await startOne(peer)
      process.kill(peer.pid, 'SIGSTOP')
      try {
        await crash(pid)
      } finally {
        process.kill(peer.pid, 'SIGCONT')
      }
      const [again] = await until('it is ready again', async () => {
        const { instances } = await peer.instances()
        return (
          instances.length === 1 &&
          instances[0]?.state === 'ready' &&
          instances[0].restarts === 1 &&
          instances
        )
      })
      assert.deepEqual([again?.pid, again?.exit?.signal], [pid, 'SIGKILL'])
    }))

  it('follows while its peer is dead, once, and is adopted with the exit of the run before it (S10)', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const pid = await startOne(peer)
      await peer.end('SIGKILL')
      const next = await crash(pid)
      assert.equal(armed(peer), 1, 'what was armed was the first run, and nothing else has been since')
      await peer.up()
      const [again] = await ready(peer, 'web', 1)
      assert.deepEqual([again?.pid, again?.restarts, again?.exit?.signal], [pid, 1, 'SIGKILL'])
      assert.equal(programOf(pid), next, 'it runs on')
      await untilArmed(peer, 1)
    }))

  it('is the only one that follows a dead peer’s run; its own end waits for the peer', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const pid = await startOne(peer)
      await peer.end('SIGKILL')
      process.kill(await crash(pid), 'SIGKILL')
      await until('its shim is gone', async () => !isRunning(pid))
      await peer.up()
      const [again] = await ready(peer, 'web', 1)
      assert.equal(again?.restarts, 2)
      assert.notEqual(again.pid, pid)
    }))

  it('of what is stopped is stopped with it', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const pid = await startOne(peer)
      const { code } = await peer.cli('stop', 'e2e/web')
      assert.equal(code, 0)
      await until('nothing is left', async () => (await peer.instances()).instances.length === 0)
      assert.ok(!isRunning(pid))
      const runs = join(peer.data, 'instances', 'runs')
      await until('no run is on disk', async () => readdirSync(runs).length === 0)
    }))

  it('waits for its peer where the run has left a process, which is ended first', () =>
    withFleet(async (fleet) => {
      const peer = await alone(fleet)
      const pid = await startOne(peer, ['sh', '-c', 'setsid sleep 3601 & echo "$!"; exec sleep 3600'])
      const { stdout } = await peer.cli('logs', '-n', '1', 'e2e/web/0')
      const left = Number(/(\d+)\s*$/.exec(stdout)?.[1])
      assert.ok(isRunning(left))
      process.kill(programOf(pid) ?? 0, 'SIGKILL')
      const again = await until('it is ready again', async () => {
        const { instances } = await peer.instances()
        return instances.find((one) => one.state === 'ready' && one.restarts === 1)
      })
      assert.notEqual(again.pid, pid)
      assert.ok(!isRunning(left))
    }))
})
