// How often a peer says what nobody waits for, and what it says at once.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StatusMap } from '../../../crdt/status-map.ts'
import { silentLog } from '../../../lib/log.ts'
import { StatusFeed } from '../../../node/agent/status-feed.ts'
import { FrameStore } from '../../../simulations/scale/frame-store.ts'
import { Simulator } from '../../../simulations/simulator.ts'
import { signerOf } from '../../crdt/cluster.ts'

const feedOf = (members: number, spread = 0) => {
  const simulator = new Simulator()
  const said: { atMs: number; urgent: boolean }[] = []
  const writtenAtMs: number[] = []
  const store = new FrameStore()
  const append = store.append.bind(store)
  store.append = async (frames) => {
    writtenAtMs.push(simulator.nowMs)
    await append(frames)
  }
  const feed = new StatusFeed({
    map: new StatusMap({ signer: signerOf('ada'), incarnation: 1 }),
    store,
    clock: simulator.clock(),
    log: silentLog,
    spread: () => spread,
    members: () => members,
    publish: (_record, urgent) => said.push({ atMs: simulator.nowMs, urgent }),
  })
  return { simulator, said, writtenAtMs, feed }
}

/** Something new to say every tenth of a second. */
const talk = async ({ simulator, feed }: ReturnType<typeof feedOf>, seconds: number): Promise<void> => {
  for (let turn = 0; turn < seconds * 10; turn += 1) {
    feed.set('report', turn)
    await simulator.run(simulator.nowMs + 100)
  }
}

describe('status feed', () => {
  for (const [members, times] of [
    [3, 10],
    [100, 10],
    [1000, 1],
  ] as const)
    it(`says what nobody waits for ${times === 1 ? 'once' : `${times} times`} in ten seconds with ${members} members`, async () => {
      const scene = feedOf(members)
      await talk(scene, 9.9)
      assert.equal(scene.said.length, times)
    })

  it('spreads the first word over that time, and keeps it short in a small cluster', async () => {
    for (const [members, atMs] of [
      [10, 100],
      [100, 500],
      [1000, 5000],
    ] as const) {
      const scene = feedOf(members, 0.5)
      await talk(scene, 6)
      assert.equal(scene.said[0]?.atMs, atMs)
    }
  })

  it('says at once what others wait for, and the rest with it', async () => {
    const scene = feedOf(1000, 0.5)
    scene.feed.set('report', 1)
    scene.feed.set('instance/shop/web/0@r1', 1)
    scene.feed.flush()
    await scene.simulator.run(9000)
    assert.deepEqual(scene.said, [{ atMs: 0, urgent: true }])
  })

  it('writes at once where another one is reached, and of many that begin together ten times a second', async () => {
    const { simulator, writtenAtMs, feed } = feedOf(3)
    const record = new Uint8Array([1])
    feed.keep(record)
    await simulator.run(500)
    feed.keep(record, true)
    await simulator.run(501)
    assert.deepEqual(writtenAtMs, [500])
    for (const atMs of [510, 550, 590]) {
      await simulator.run(atMs)
      feed.keep(record, true)
    }
    await simulator.run(3000)
    assert.deepEqual(writtenAtMs, [500, 600])
    feed.keep(record)
    await simulator.run(9000)
    assert.deepEqual(writtenAtMs, [500, 600, 4000])
  })
})
