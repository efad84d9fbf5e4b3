// What survives a death: a peer without its instances, a peer with them, a frozen peer, the whole fleet at once. Every
// expectation is a condition that must come true, or a number that must not change.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  applyOf,
  fingerprint,
  freePort,
  type Fleet,
  idle,
  type Instance,
  onDisk,
  type Peer,
  ready,
  service,
  until,
  withFleet,
} from './support/fleet.ts'
import { isRunning, killStrays, strays } from './support/leftovers.ts'

/** Processes of the service's program below the fleet, whoever owns them. */
const running = (instances: readonly Instance[]): readonly Instance[] =>
  instances.filter(({ pid }) => pid !== null && isRunning(pid))

const states = async (peer: Peer): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries((await peer.peers()).peers.map(({ name, state }) => [name, state]))

/** Grows three peers with `replicas` idle slots of `web`. */
const threeWith = async (
  fleet: Fleet,
  over: Parameters<typeof idle>[1],
): Promise<{ a: Peer; b: Peer; c: Peer; before: readonly Instance[] }> => {
  const [a, b, c] = await fleet.grow(3)
  assert.ok(a !== undefined && b !== undefined && c !== undefined)
  await a.change(applyOf(idle('web', { replicasPerNodeMax: 4, ...over })))
  const before = await ready(a, 'web', over?.replicas ?? 1)
  await fleet.agree([a, b, c])
  return { a, b, c, before: await ready(a, 'web', before.length) }
}

describe('the death of a peer', () => {
  it('leaves its instances running; a return within reschedule_after adopts them and moves nothing (S10, L4)', () =>
    withFleet(async (fleet) => {
      const { a, b, c, before } = await threeWith(fleet, { replicas: 6, rescheduleAfterMs: 60_000 })
      await c.end('SIGKILL')
      await until('c is dead for a and b', async () => {
        const seen = await Promise.all([a, b].map((peer) => peer.sees('p2')))
        return seen.every(({ state }) => state === 'dead')
      })
      assert.equal(running(before).length, 6, 'an instance went with its peer')
      await c.up()
      await fleet.agree([a, b, c])
      assert.deepEqual(fingerprint(await ready(a, 'web', 6)), fingerprint(before))
    }))

  it('beyond reschedule_after its slots move, and the surplus drains when it is back (L2)', () =>
    withFleet(async (fleet) => {
      const { a, b, c, before } = await threeWith(fleet, {
        replicas: 6,
        rescheduleAfterMs: 500,
        stopGraceMs: 500,
      })
      await c.end('SIGKILL')
      const moved = await until('the slots of c run elsewhere', async () => {
        const { instances } = await a.instances()
        const found = instances.filter(({ state, peer }) => state === 'ready' && peer !== 'p2')
        return found.length === 6 && found
      })
      assert.equal(new Set(moved.map(({ index }) => index)).size, 6)
      await c.up()
      await fleet.agree([a, b, c])
      const after = await ready(a, 'web', 6)
      assert.equal(new Set(after.map(({ index }) => index)).size, 6, 'a slot runs twice')
      const pids = (instances: readonly Instance[]) => new Set(instances.map(({ pid }) => pid))
      assert.deepEqual(
        pids(running([...before, ...moved, ...after])),
        pids(after),
        'a surplus instance runs on',
      )
    }))

  it('that takes its instances with it is made good: every slot runs again elsewhere', () =>
    withFleet(async (fleet) => {
      const { a, b, c } = await threeWith(fleet, { replicas: 3, rescheduleAfterMs: 500 })
      await c.end('SIGKILL')
      killStrays(c.data)
      const after = await until('three ready on a and b', async () => {
        const { instances } = await b.instances()
        const found = instances.filter(({ state, peer }) => state === 'ready' && peer !== 'p2')
        return found.length === 3 && found
      })
      assert.equal(running(after).length, 3)
      await fleet.agree([a, b])
    }))

  it('of one of two leaves the other at work (L3)', () =>
    withFleet(async (fleet) => {
      const [a, b] = await fleet.grow(2)
      assert.ok(a !== undefined && b !== undefined)
      await a.change(applyOf(idle('web', { replicas: 2, rescheduleAfterMs: 500 })))
      await ready(b, 'web', 2)
      await a.end('SIGKILL')
      killStrays(a.data)
      await until('both slots run on b', async () => {
        const { instances } = await b.instances()
        return instances.filter(({ state, peer }) => state === 'ready' && peer === 'p1').length === 2
      })
      await b.change(applyOf(idle('web', { replicas: 3, rescheduleAfterMs: 500 })))
      await ready(b, 'web', 3)
      assert.deepEqual(await states(b), { p0: 'dead', p1: 'alive' })
    }))

  it('of an instance is made good where it was (L6)', () =>
    withFleet(async (fleet) => {
      const { a, b, c, before } = await threeWith(fleet, { replicas: 3 })
      const [victim] = before
      assert.ok(victim?.pid !== null && victim?.pid !== undefined)
      process.kill(victim.pid, 'SIGKILL')
      const again = await until('the slot has another process', async () => {
        const { instances } = await b.instances()
        return instances.find(
          ({ slot, state, pid }) => slot === victim.slot && state === 'ready' && pid !== victim.pid,
        )
      })
      assert.equal(again.peer, victim.peer)
      assert.ok(again.restarts >= 1)
      await fleet.agree([a, b, c])
    }))
})

describe('the end of an instance while its peer is away', () => {
  it('shows with status and time, though it was restarted at once (S10)', () =>
    withFleet(async (fleet) => {
      const [a] = await fleet.grow(1)
      assert.ok(a !== undefined)
      const order = join(fleet.directory, 'order')
      const command = ['sh', '-c', `while [ ! -e ${order} ]; do sleep 0.05; done; rm ${order}; exit 7`]
      await a.change(applyOf(service('web', command)))
      const [before] = await ready(a, 'web', 1)
      const pid = before?.pid ?? 0
      await a.end('SIGKILL')
      const from = Date.now()
      await writeFile(order, '')
      await until('it has ended', () => !isRunning(pid))
      const to = Date.now()
      await a.up()
      const [again] = await ready(a, 'web', 1)
      assert.ok(again !== undefined && again.pid !== pid)
      assert.deepEqual([again.restarts, again.exit?.code], [1, 7])
      const at = again.exit?.at ?? 0
      // File times are as coarse as the kernel's tick, and a second where a file system has no finer ones.
      assert.ok(at >= from - 1000 && at <= to + 1000, `${from} <= ${at} <= ${to}`)
      const { stdout } = await a.cli('events')
      assert.match(stdout, /e2e\/web\/0@\S+.*exited with 7/)
    }))
})

describe('a frozen peer', () => {
  it('is dead for the others, returns without duplicates, and accuses nobody (L3, L4)', () =>
    withFleet(async (fleet) => {
      const { a, b, c } = await threeWith(fleet, { replicas: 6, rescheduleAfterMs: 500, stopGraceMs: 500 })
      c.signal('SIGSTOP')
      await until('its slots run elsewhere', async () => {
        const { instances } = await a.instances()
        return instances.filter(({ state, peer }) => state === 'ready' && peer !== 'p2').length === 6
      })
      assert.equal((await b.sees('p2')).state, 'dead')
      c.signal('SIGCONT')
      await until('c is alive again for all', async () => {
        const seen = await Promise.all([a, b, c].map(states))
        for (const each of seen) assert.equal(each['p0'], 'alive', 'somebody accuses a')
        for (const each of seen) assert.equal(each['p1'], 'alive', 'somebody accuses b')
        return seen.every((each) => each['p2'] === 'alive')
      })
      await fleet.agree([a, b, c])
      const after = await ready(a, 'web', 6)
      const sleeping = strays(fleet.directory).filter((pid) => after.some((one) => one.pid === pid))
      assert.equal(sleeping.length, 6)
      const { events } = await c.get<{
        events: readonly { kind: string; subject: string; message: string }[]
      }>('/v1/events')
      const accusations = events.filter(
        ({ subject, message }) => (subject === 'p0' || subject === 'p1') && /dead|suspect/.test(message),
      )
      assert.deepEqual(accusations, [])
    }))
})

describe('the whole cluster', () => {
  it('killed at once and started again holds the same intent and adopts the same instances, although all its addresses but one are others (S2, S10)', () =>
    withFleet(async (fleet) => {
      // The kernel picks another port for b and c at every start, so of all the addresses that are known one is right.
      const listen = `/ip4/127.0.0.1/tcp/${await freePort()}`
      const [a, b, c] = await fleet.grow(3, (at) => ({ name: `p${at}`, ...(at === 0 ? { listen } : {}) }))
      assert.ok(a !== undefined && b !== undefined && c !== undefined)
      await a.change(applyOf(idle('web', { replicas: 6, rescheduleAfterMs: 60_000 })))
      await ready(a, 'web', 6)
      await fleet.agree([a, b, c])
      const before = await ready(a, 'web', 6)
      const digest = await a.digest()
      await onDisk([a, b, c], before)
      await Promise.all([a, b, c].map((peer) => peer.end('SIGKILL')))
      assert.equal(running(before).length, 6)
      await Promise.all([a, b, c].map((peer) => peer.up()))
      await fleet.agree([a, b, c])
      assert.equal(await a.digest(), digest)
      assert.deepEqual(fingerprint(await ready(a, 'web', 6)), fingerprint(before))
    }))

  it('whose every address is another one finds together when each is told one (up --join)', () =>
    withFleet(async (fleet) => {
      const [a, b] = await fleet.grow(2)
      assert.ok(a !== undefined && b !== undefined)
      const { token } = await a.invite()
      await fleet.agree([a, b])
      await Promise.all([a, b].map((peer) => peer.end('SIGKILL')))
      await a.up()
      const [address = ''] = (await a.sees('p0')).addresses
      await b.up(['--join', address, '--token', token])
      await fleet.agree([a, b])
      assert.equal((await a.peers()).peers.length, 2)
    }))
})
