// Partitions between real peers on hosts of their own (network namespaces): halves that go on, merge and calm down; a
// minority that keeps its hands still; cuts in one direction only; links that flap. Five peers, one cluster, cut again
// and again; each test ends healed.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import type { ConflictsReply, RolloutsReply } from '../../node/serve/api/contract.ts'
import type { RolloutReply } from '../../node/serve/api/contract-rollout.ts'
import {
  applyOf,
  fingerprint,
  Fleet,
  idle,
  type Peer,
  ready,
  sleepUntilNextLook,
  throughout,
  until,
} from './support/fleet.ts'
import { Netbed, netbedMissing, onHost } from './support/netbed.ts'

const missing = await netbedMissing()
if (missing !== null) process.stderr.write(`SKIPPED: partitions are not tested: ${missing}\n`)

const HOSTS = 5

/** Slots that run now, as `SLOT PEER PID`, by what the given peers say of themselves. */
const held = async (peers: readonly Peer[]): Promise<readonly string[]> => {
  const all = await Promise.all(
    peers.map(async (peer) =>
      (await peer.instances()).instances.filter(
        (one) => one.peer === peer.name && !['stopped', 'crashed', 'unfulfilled'].includes(one.state),
      ),
    ),
  )
  return fingerprint(all.flat())
}

describe('a partition', { skip: missing ?? false }, () => {
  let bed: Netbed
  let fleet: Fleet
  let peers: readonly Peer[]
  const at = (index: number): Peer => {
    const peer = peers[index]
    assert.ok(peer !== undefined)
    return peer
  }

  before(async () => {
    bed = await Netbed.create(HOSTS)
    fleet = await Fleet.create()
    peers = await fleet.grow(HOSTS, (index) => onHost(bed, index))
  })
  after(async () => {
    await fleet.close()
    await bed.close()
  })
  afterEach(async (context) => {
    if ('passed' in context && !context.passed) process.stderr.write(`${fleet.story()}\n`)
    await bed.heal()
    await fleet.agree(peers, 45_000)
  })

  /** Applies idle slots of `web` and waits until nothing is left to do. */
  const deploy = async (replicas: number, rescheduleAfterMs: number): Promise<readonly string[]> => {
    await at(0).change(applyOf(idle('web', { replicas, rescheduleAfterMs, stopGraceMs: 500 })))
    await ready(at(0), 'web', replicas)
    await fleet.agree(peers)
    return fingerprint(await ready(at(0), 'web', replicas))
  }

  it('in halves: the larger takes over, the minority brakes and starts nothing (S16); both merge when it heals (S1)', async () => {
    // More than the losses are apart that one cut makes, also on a busy machine: what was lost alone is taken over.
    await deploy(10, 2000)
    const [large, small] = [peers.slice(0, 3), peers.slice(3)]
    const before = await held(small)
    await bed.split([4, 5])
    await until('the minority brakes', async () => {
      const seen = await Promise.all(small.map((peer) => peer.peers()))
      return seen.every(({ braked }) => braked)
    })
    await until('the larger half runs every slot', async () => {
      const { instances } = await at(0).instances()
      const names = new Set(large.map(({ name }) => name))
      return instances.filter(({ state, peer }) => state === 'ready' && names.has(peer)).length === 10
    })
    // Longer than it took the larger half; the hold is ten seconds from the last loss.
    await throughout(3000, async () => {
      assert.deepEqual(await held(small), before, 'the minority acted while braked')
    })
    await Promise.all([
      at(0).change({ kind: 'apply', cell: { name: 'large', services: [idle('x')] } }),
      at(4).change({ kind: 'apply', cell: { name: 'small', services: [idle('y')] } }),
    ])
    await bed.heal()
    await fleet.agree(peers)
    for (const peer of peers) {
      const { cells } = await peer.status()
      assert.deepEqual(
        cells.map(({ name }) => name),
        ['e2e', 'large', 'small'],
      )
    }
    const running = await ready(at(1), 'web', 10)
    assert.equal(new Set(running.map(({ index }) => index)).size, 10, 'a slot runs twice')
    assert.equal((await held(peers)).filter((text) => text.startsWith('e2e/web')).length, 10)
  })

  it('with edits of one field on both sides shows the conflict to all, with one winner (S1, S2)', async () => {
    await deploy(2, 60_000)
    await bed.split([5])
    await Promise.all([
      at(0).change({ kind: 'scale', service: 'e2e/web', replicas: 4 }),
      at(4).change({ kind: 'scale', service: 'e2e/web', replicas: 3 }),
    ])
    await bed.heal()
    await fleet.agree(peers)
    const shown = await Promise.all(peers.map((peer) => peer.get<ConflictsReply>('/v1/conflicts')))
    for (const { conflicts } of shown) assert.deepEqual(conflicts, shown[0]?.conflicts)
    const [conflict] = shown[0]?.conflicts ?? []
    assert.match(conflict?.path ?? '', /replicas/)
    assert.deepEqual(new Set([conflict?.value, conflict?.winner]), new Set(['3', '4']))
    await ready(at(2), 'web', Number(conflict?.winner))
    // An edit that has seen both settles it.
    await at(2).change({ kind: 'scale', service: 'e2e/web', replicas: 2 })
    await fleet.agree(peers)
    assert.deepEqual((await at(3).get<ConflictsReply>('/v1/conflicts')).conflicts, [])
  })

  it('with a deploy on both sides lets each go its way, and one release wins without a gap when it heals (S8, L5)', async () => {
    const update = { order: 'start-first', parallelism: 2, canary: 1, monitorMs: 300 } as const
    const api = (version: string) =>
      applyOf(
        idle('api', {
          environment: { VERSION: version },
          replicas: 4,
          update,
          rescheduleAfterMs: 500,
          stopGraceMs: 500,
        }),
      )
    const done = (peer: Peer): Promise<RolloutReply> =>
      until(
        `the rollout is done, says ${peer.name}`,
        async () => {
          const [rollout] = (await peer.get<RolloutsReply>('/v1/rollouts?service=e2e/api')).rollouts
          if (rollout?.phase === 'done' && rollout.ready === 4) return rollout
          throw new Error(`${rollout?.phase}: ${rollout?.reason}`)
        },
        60_000,
      )
    /** Slots that some peer serves, by what each says of itself, and the releases in them. */
    const served = async (
      among: readonly Peer[],
    ): Promise<{ slots: number; releases: readonly string[] }> => {
      const all = await Promise.all(
        among.map(async (peer) =>
          (await peer.instances()).instances.filter(
            ({ peer: on, service, state }) => on === peer.name && service === 'api' && state === 'ready',
          ),
        ),
      )
      const found = all.flat()
      return {
        slots: new Set(found.map(({ slot }) => slot)).size,
        releases: [...new Set(found.map(({ release }) => release))],
      }
    }
    await at(0).change(api('zero'))
    await done(at(0))
    await fleet.agree(peers)
    const [large, small] = [peers.slice(0, 3), peers.slice(3)]
    await bed.split([4, 5])
    for (const side of [large, small])
      await until('the side serves every slot', async () => (await served(side)).slots === 4)
    await Promise.all([at(0).change(api('one')), at(4).change(api('two'))])
    const [one, two] = await Promise.all([done(at(0)), done(at(4))])
    assert.notEqual(one.release, two.release)
    assert.ok(large.some(({ name }) => name === one.steward))
    assert.ok(small.some(({ name }) => name === two.steward))
    assert.deepEqual((await served(large)).releases, [one.release])
    assert.deepEqual((await served(small)).releases, [two.release])
    const least = { slots: 4 }
    const agreed = bed.heal().then(async () => await fleet.agree(peers, 60_000))
    const over = agreed.then(() => true)
    while (!(await Promise.race([over, sleepUntilNextLook().then(() => false)])))
      least.slots = Math.min(least.slots, (await served(peers)).slots)
    assert.equal(least.slots, 4, 'a slot was served by nobody')
    const winner = await done(at(2))
    assert.ok(winner.release === one.release || winner.release === two.release)
    assert.deepEqual(winner.rejected, [])
    assert.deepEqual(await served(peers), { slots: 4, releases: [winner.release] })
    const loser = winner.release === one.release ? at(4) : at(0)
    const shown = await loser.cli('conflicts')
    assert.match(shown.stdout, /e2e\/api.*VERSION/)
  })

  it('in one direction between two peers kills nobody and moves nothing; edits go round it (L3, L4)', async () => {
    const before = await deploy(10, 500)
    await bed.oneWay(1, 2)
    const seen = async (): Promise<readonly string[]> =>
      (await Promise.all(peers.map((peer) => peer.peers()))).flatMap(({ peers: list }) =>
        list.map(({ state }) => state),
      )
    // Longer than silence, grace, settling and the reschedule delay together.
    await throughout(6000, async () => {
      assert.ok(!(await seen()).includes('dead'), 'somebody is held for dead')
    })
    await at(0).change({ kind: 'apply', cell: { name: 'round', services: [idle('x')] } })
    const digest = await at(0).digest()
    await until('the edit is at the other end of the cut', async () => (await at(1).digest()) === digest)
    assert.deepEqual(fingerprint(await ready(at(2), 'web', 10)), before)
  })

  it('that comes and goes faster than the reschedule delay moves nothing (L4)', async () => {
    const before = await deploy(10, 8000)
    for (let turn = 0; turn < 4; turn += 1) {
      await bed.split([3])
      await until('it is missed', async () => (await at(0).sees('p2')).state !== 'alive')
      await bed.heal()
      await until('it is back', async () => (await at(0).sees('p2')).state === 'alive')
    }
    await fleet.agree(peers)
    const now = fingerprint(await ready(at(0), 'web', 10))
    // What moved or was restarted is told by its own peer.
    if (now.join() !== before.join())
      for (const peer of peers) process.stderr.write(`--- ${peer.name}\n${(await peer.cli('events')).stdout}`)
    assert.deepEqual(now, before)
    const restarts = (await at(0).instances()).instances.map((one) => one.restarts)
    assert.ok(restarts.every((count) => count === 0))
  })

  it('of a frozen process ends when it wakes: connections that were given up are made anew (L3)', async () => {
    await deploy(5, 60_000)
    at(3).signal('SIGSTOP')
    await until('it is dead for the others, its connections cut', async () => {
      const seen = await Promise.all([0, 1, 2, 4].map((index) => at(index).sees('p3')))
      return seen.every(({ state, ageMs }) => state === 'dead' && ageMs > 5000)
    })
    await at(0).change({ kind: 'scale', service: 'e2e/web', replicas: 6 })
    at(3).signal('SIGCONT')
    await fleet.agree(peers)
    await ready(at(3), 'web', 6)
  })
})
