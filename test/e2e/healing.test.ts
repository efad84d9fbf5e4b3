// Finding together again: after minutes apart, at new addresses, among many dead ones, and after a start of all at once.
// On hosts of their own (network namespaces), since on loopback a dead address answers at once and a lost packet is none.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyOf, fingerprint, idle, onDisk, type Peer, ready, throughout, until } from './support/fleet.ts'
import { type Land, netbedMissing, withLand } from './support/netbed.ts'

const missing = await netbedMissing()
if (missing !== null) process.stderr.write(`SKIPPED: healing is not tested: ${missing}\n`)

/** libp2p's own redials give up after five, within half a minute: healing beyond that is the dialler's work. */
const LONG_MS = 40_000

const three = ({ peers }: Land): readonly [Peer, Peer, Peer] => {
  const [a, b, c] = peers
  assert.ok(a !== undefined && b !== undefined && c !== undefined)
  return [a, b, c]
}

const counter = async (peer: Peer, name: string): Promise<number> => {
  const text = await peer.get<string>('/metrics')
  const line = text.split('\n').find((each) => each.startsWith(`${name} `) || each.startsWith(`${name}{`))
  assert.ok(line !== undefined, `no metric ${name}`)
  return Number(line.split(' ').at(-1))
}

describe('a cluster', { skip: missing ?? false }, () => {
  it('heals by itself within seconds after a long partition, and what was removed meanwhile stays removed (S11)', () =>
    withLand(3, async (land) => {
      const [a, b, c] = three(land)
      await a.change(
        applyOf(idle('gone', { stopGraceMs: 500 }), idle('kept', { replicas: 3, stopGraceMs: 500 })),
      )
      await ready(c, 'kept', 3)
      await land.fleet.agree([a, b, c])
      await land.bed.split([3])
      // A peer that is slow itself holds a conviction a moment longer than the other.
      for (const peer of [a, b])
        await until(`c is dead for ${peer.name}`, async () => (await peer.sees('p2')).state === 'dead')
      await a.change(applyOf(idle('kept', { replicas: 4, stopGraceMs: 500 })))
      await throughout(LONG_MS, async () => {
        assert.equal((await b.sees('p2')).state, 'dead')
      })
      await land.bed.heal()
      await land.fleet.agree([a, b, c], 10_000)
      for (const peer of [a, b, c]) {
        const { cells } = await peer.status()
        assert.deepEqual(
          cells[0]?.services.map(({ name }) => name),
          ['kept'],
        )
      }
      await ready(c, 'kept', 4)
      const { instances } = await c.instances()
      assert.ok(instances.every(({ service, state }) => service === 'kept' || state === 'stopped'))
    }))

  it('whose hosts all have other addresses but one finds together again, and adopts what ran', () =>
    withLand(3, async (land) => {
      const [a, b, c] = three(land)
      await a.change(applyOf(idle('web', { replicas: 3, rescheduleAfterMs: 60_000 })))
      await ready(a, 'web', 3)
      await land.fleet.agree([a, b, c])
      const instances = await ready(a, 'web', 3)
      const before = fingerprint(instances)
      await onDisk([a, b, c], instances)
      await Promise.all([a, b, c].map((peer) => peer.end('SIGKILL')))
      await Promise.all([2, 3].map((host) => land.bed.readdress(host, `10.77.0.${100 + host}`)))
      await Promise.all([a, b, c].map((peer) => peer.up()))
      await land.fleet.agree([a, b, c])
      assert.deepEqual(fingerprint(await ready(b, 'web', 3)), before)
      assert.match((await a.sees('p1')).addresses.join(), /10\.77\.0\.102/)
    }))

  it('started at once, so that all dial each other at the same time, has working gossip', () =>
    withLand(4, async ({ peers, fleet }) => {
      await Promise.all(peers.map((peer) => peer.end('SIGKILL')))
      await Promise.all(peers.map((peer) => peer.up()))
      await fleet.agree(peers)
      const [first] = peers
      assert.ok(first !== undefined)
      const others = peers.slice(1)
      const before = await Promise.all(others.map((peer) => counter(peer, 'tutti_gossip_in_total')))
      const edits = 10
      for (let edit = 0; edit < edits; edit += 1) {
        await first.change({
          kind: 'apply',
          cell: { name: `n${edit}`, services: [idle('x', { replicas: 0 })] },
        })
      }
      await until('every edit came by gossip to each', async () => {
        const now = await Promise.all(others.map((peer) => counter(peer, 'tutti_gossip_in_total')))
        return now.every((count, index) => count - (before[index] ?? 0) >= edits)
      })
      await fleet.agree(peers)
    }))

  it('with more dead members than living ones is found by one that returns: dead addresses starve nobody', () =>
    withLand(6, async ({ peers, fleet, bed }) => {
      const [a, ...rest] = peers
      const back = rest.at(-1)
      assert.ok(a !== undefined && back !== undefined)
      const dead = rest.slice(0, -1)
      // Their hosts vanish: packets to them are lost, so that every dial takes its full time.
      await bed.split([2, 3, 4, 5])
      await Promise.all([...dead, back].map((peer) => peer.end('SIGKILL')))
      await until('a sees the dead', async () => {
        const states = await Promise.all(dead.map(({ name }) => a.sees(name)))
        return states.every(({ state }) => state === 'dead')
      })
      await back.up()
      await fleet.agree([a, back], 15_000)
      await back.change(applyOf(idle('web', { replicas: 2 })))
      await ready(a, 'web', 2)
    }))
})
