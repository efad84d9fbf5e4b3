// Replies as pure functions of a snapshot.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { removeService, scale } from '../../../../crdt/edits.ts'
import type { ServiceId, SlotId } from '../../../../lib/ids.ts'
import { place } from '../../../../node/plan/placement.ts'
import type { Plan } from '../../../../node/plan/plan.ts'
import { mergeEvents } from '../../../../node/serve/replies/events.ts'
import { instancesReply } from '../../../../node/serve/replies/instances.ts'
import { peersReply } from '../../../../node/serve/replies/peers.ts'
import { compareSlots, readingOf } from '../../../../node/serve/replies/reading.ts'
import { conflictsReply } from '../../../../node/serve/replies/conflicts.ts'
import { cellsReply, statusReply } from '../../../../node/serve/replies/services.ts'
import { watchReply } from '../../../../node/serve/replies/watch.ts'
import { FakeAgent, service, WALL } from '../fake-agent.ts'

const NAMES = ['oak', 'elm', 'ash']

/** Three peers that agree, and `shop/web` with so many slots. */
const world = (replicas = 3) => {
  const agent = new FakeAgent(NAMES)
  agent.apply('shop', [service('web', { replicas })])
  NAMES.forEach((name, seat) => agent.say(seat, name, {}))
  return agent
}

const read = (agent: FakeAgent) => {
  const snapshot = agent.snapshot()
  return readingOf(snapshot, place(snapshot))
}

/** The seat of the member that a slot is placed on. */
const seatOf = (agent: FakeAgent, slot: string): number => {
  const member = read(agent).placements.get(slot as SlotId)?.member
  return agent.ids.findIndex((id) => id === member)
}

/** Makes every slot ready where it is placed. */
const allReady = (agent: FakeAgent, slots: readonly string[]): void => {
  NAMES.forEach((name, seat) => {
    const own = slots.filter((slot) => seatOf(agent, slot) === seat)
    agent.say(seat, name, Object.fromEntries(own.map((slot) => [slot, 'ready' as const])))
  })
}

describe('peers', () => {
  it('tell what each says of itself, and how it is seen from here', () => {
    const agent = world()
    agent.say(1, 'elm', { 'shop/web/0': 'ready', 'shop/web/1': 'pending', 'shop/web/2': 'stopped' })
    agent.states.set(agent.id(2), 'suspect')
    const { peers, asOf } = peersReply(read(agent))
    assert.deepEqual(
      peers.map(({ name, state, self, ageMs, instances }) => ({ name, state, self, ageMs, instances })),
      [
        { name: 'ash', state: 'suspect', self: false, ageMs: 3000, instances: 0 },
        { name: 'elm', state: 'alive', self: false, ageMs: 0, instances: 1 },
        { name: 'oak', state: 'alive', self: true, ageMs: 0, instances: 0 },
      ],
    )
    assert.deepEqual(peers[1]?.capacity, { cpus: 4, memory: 2 ** 33 })
    assert.deepEqual(
      { alive: asOf.alive, members: asOf.members, peer: asOf.peer },
      { alive: 3, members: 3, peer: 'oak' },
    )
  })

  it('list a member that has never been heard', () => {
    const agent = world()
    agent.statuses.delete(agent.id(1))
    agent.states.delete(agent.id(1))
    const elm = peersReply(read(agent)).peers.find(({ name }) => name === 'elm')
    assert.deepEqual([elm?.state, elm?.version, elm?.digest, elm?.settled], ['dead', '', '', false])
  })
})

describe('settled', () => {
  it('names the packages that have had too few copies for long', () => {
    const reading = read(new FakeAgent())
    assert.deepEqual(statusReply(reading).packages, [])
    const shortages = [{ name: 'web@1', copies: 1, wanted: 2, since: 1000 }]
    const short = { ...reading, snapshot: { ...reading.snapshot, shortages } }
    assert.deepEqual(statusReply(short).packages, shortages)
  })

  it('holds when every living peer reports this digest and nothing to do', () => {
    const agent = world()
    assert.deepEqual(statusReply(read(agent)).waiting, [])
    assert.equal(statusReply(read(agent)).settled, true)
  })

  it('fails from the moment of an edit, this peer included', () => {
    const agent = world()
    agent.apply('shop', [service('web', { replicas: 4 })])
    const { settled, waiting } = statusReply(read(agent))
    assert.equal(settled, false)
    assert.deepEqual(
      waiting.map(({ peer }) => peer),
      ['ash', 'elm', 'oak'],
    )
    assert.match(waiting[2]?.reason ?? '', /has yet to act/)
  })

  it('names who is at work, and who has not been heard', () => {
    const agent = world()
    agent.say(0, 'oak', {}, { settled: false, waiting: ['shop/web/0 is starting'] })
    agent.statuses.delete(agent.id(1))
    assert.deepEqual(statusReply(read(agent)).waiting, [
      { peer: 'elm', reason: 'has not reported yet' },
      { peer: 'oak', reason: 'shop/web/0 is starting' },
    ])
  })

  it('does not wait for the dead and the left', () => {
    const agent = world()
    agent.statuses.delete(agent.id(1))
    agent.statuses.delete(agent.id(2))
    agent.states.set(agent.id(1), 'dead')
    agent.states.set(agent.id(2), 'left')
    assert.equal(statusReply(read(agent)).settled, true)
  })
})

describe('instances', () => {
  it('show wanted slots that nobody has reported yet as pending on their member', () => {
    const agent = world(1)
    const [row] = instancesReply(read(agent)).instances
    assert.equal(row?.state, 'pending')
    assert.equal(row.peer, NAMES[seatOf(agent, 'shop/web/0')])
    assert.match(row.reason, /has not reported it yet/)
  })

  it('show slots that nobody can hold as unfulfilled, with the reason', () => {
    const agent = world(1)
    agent.apply('shop', [service('web', { replicas: 1, constraints: ['node.labels.zone == nowhere'] })])
    const [row] = instancesReply(read(agent)).instances
    assert.deepEqual([row?.state, row?.peer], ['unfulfilled', ''])
    assert.match(row?.reason ?? '', /nobody can hold it/)
  })

  it('doubt what a dead peer had until somebody else has it', () => {
    const agent = world(1)
    const seat = seatOf(agent, 'shop/web/0')
    const other = (seat + 1) % 3 === 0 ? (seat + 2) % 3 : (seat + 1) % 3
    agent.say(seat, NAMES[seat] ?? '', { 'shop/web/0': 'ready' })
    agent.states.set(agent.id(seat), 'dead')
    const [lost, ...more] = instancesReply(read(agent)).instances
    assert.equal(more.length, 0)
    assert.equal(lost?.state, 'failing')
    assert.match(lost.reason, /is dead for 3s; it was ready when last heard of/)
    agent.say(other, NAMES[other] ?? '', { 'shop/web/0': 'starting' })
    assert.deepEqual(
      instancesReply(read(agent)).instances.map(({ peer, state }) => [peer, state]),
      [[NAMES[other], 'starting']],
    )
  })

  it('count seats as people do', () => {
    const agent = world(11)
    const { instances } = instancesReply(read(agent))
    assert.deepEqual(
      instances.map(({ index }) => index),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    )
    assert.ok(compareSlots('a/b/2', 'a/b/10') < 0 && compareSlots('a/b/10', 'a/b/oak') < 0)
  })

  it('number the seats of a global service by member name', () => {
    const agent = world(0)
    agent.apply('shop', [service('agent', { mode: 'global' })])
    const { instances } = instancesReply(read(agent))
    assert.deepEqual(
      instances.map(({ slot, index, peer }) => [slot, index, peer]),
      [
        ['shop/agent/ash', 0, 'ash'],
        ['shop/agent/elm', 1, 'elm'],
        ['shop/agent/oak', 2, 'oak'],
      ],
    )
  })
})

describe('status', () => {
  const web = (agent: FakeAgent) => statusReply(read(agent)).cells[0]?.services[0]

  it('counts ready slots and says when a release is under way', () => {
    const agent = world(3)
    assert.deepEqual([web(agent)?.desired, web(agent)?.ready, web(agent)?.releasing], [3, 0, true])
    allReady(agent, ['shop/web/0', 'shop/web/1', 'shop/web/2'])
    assert.deepEqual([web(agent)?.ready, web(agent)?.releasing], [3, false])
    agent.apply('shop', [service('web', { replicas: 3, command: ['node', 'new.js'] })])
    assert.deepEqual([web(agent)?.ready, web(agent)?.releasing], [3, true])
  })

  it('does not count a slot twice, nor one that is no longer wanted, nor one on a dead peer', () => {
    const agent = world(1)
    const seat = seatOf(agent, 'shop/web/0')
    for (const at of [0, 1, 2])
      agent.say(at, NAMES[at] ?? '', { 'shop/web/0': 'ready', 'shop/web/5': 'ready' })
    assert.equal(web(agent)?.ready, 1)
    for (const at of [0, 1, 2]) agent.say(at, NAMES[at] ?? '', at === seat ? { 'shop/web/0': 'ready' } : {})
    agent.states.set(agent.id(seat), 'dead')
    assert.equal(web(agent)?.ready, 0)
  })

  it('takes the reason of an unfulfilled slot from who answers for it', () => {
    const agent = world(1)
    const seat = seatOf(agent, 'shop/web/0')
    agent.say(seat, NAMES[seat] ?? '', {
      'shop/web/0': { state: 'unfulfilled', reason: 'exits with 1 since 3m', since: 5 },
    })
    assert.deepEqual(web(agent)?.unfulfilled, [
      {
        slot: 'shop/web/0',
        peer: NAMES[seat],
        state: 'unfulfilled',
        reason: 'exits with 1 since 3m',
        since: 5,
        exit: null,
        output: [],
      },
    ])
    assert.deepEqual(cellsReply(read(agent)).cells, [
      { name: 'shop', services: 1, desired: 1, ready: 0, unfulfilled: 1 },
    ])
  })

  it('names the instance of a slot that the plan found overdue before its peer has said so', () => {
    const agent = world(1)
    const seat = seatOf(agent, 'shop/web/0')
    agent.say(seat, NAMES[seat] ?? '', { 'shop/web/0': { state: 'failing', reason: 'timed out', since: 5 } })
    const unfulfilled = { slot: 'shop/web/0', cause: 'failing', reason: 'timed out', sinceMs: 0 }
    const snapshot = {
      ...agent.snapshot(),
      plan: { witnessed: [], unfulfilled: [unfulfilled] } as unknown as Plan,
    }
    const [row] = statusReply(readingOf(snapshot, place(snapshot))).cells[0]?.services[0]?.unfulfilled ?? []
    assert.deepEqual([row?.state, row?.peer, row?.reason], ['failing', NAMES[seat], 'timed out'])
  })

  it('wants nothing of a stopped service', () => {
    const agent = world(2)
    agent.write([{ container: 'services', key: 'shop/web/1/stopped', value: true }])
    assert.deepEqual([web(agent)?.desired, web(agent)?.stopped, web(agent)?.releasing], [0, true, false])
    assert.deepEqual(instancesReply(read(agent)).instances, [])
  })

  it('name who won and who lost, when, and how to settle it', () => {
    const agent = world()
    const web = 'shop/web' as ServiceId
    const cut = agent.replicaOf(1)
    const lost = agent.write(scale(agent.view, web, 5), { message: 'scale', at: WALL + 1 }).change
    for (const [replicas, at] of [
      [7, WALL + 2],
      [8, WALL + 3],
    ] as const) {
      const staged = cut.draft(scale(cut.view(), web, replicas), { message: 'scale', at })
      if (staged !== null) cut.commit([staged])
    }
    agent.hear(cut)
    const [conflict, ...more] = conflictsReply(read(agent), agent.past).conflicts
    assert.deepEqual(more, [])
    assert.deepEqual(
      { ...conflict, winnerChange: '' },
      {
        path: 'shop/web replicas',
        value: '5',
        winner: '8',
        author: 'oak',
        change: lost,
        at: WALL + 1,
        winnerAuthor: 'elm',
        winnerChange: '',
        winnerAt: WALL + 3,
        settle: 'tutti resolve shop/web replicas',
      },
    )
    const [row] = statusReply(read(agent)).cells[0]?.services[0]?.conflicts ?? []
    assert.deepEqual([row?.author, row?.value, row?.winner], ['oak', '5', '8'])
  })

  it('name edits that were lost to a removal, which nothing settles', () => {
    const agent = world()
    const web = 'shop/web' as ServiceId
    const cut = agent.replicaOf(1)
    agent.write(removeService(agent.view, web), { message: 'rm', at: WALL + 1 })
    const staged = cut.draft(scale(cut.view(), web, 7), { message: 'scale', at: WALL })
    if (staged !== null) cut.commit([staged])
    agent.hear(cut)
    const [conflict] = conflictsReply(read(agent), agent.past).conflicts
    assert.deepEqual(
      [
        conflict?.path,
        conflict?.value,
        conflict?.winner,
        conflict?.author,
        conflict?.winnerAuthor,
        conflict?.settle,
      ],
      ['shop/web replicas', '7', 'removed', 'elm', 'oak', ''],
    )
  })
})

describe('watch', () => {
  it('tells of every slot whether it is where and what it should be', () => {
    const agent = world(1)
    const seat = seatOf(agent, 'shop/web/0')
    const other = (seat + 1) % 3
    agent.say(seat, NAMES[seat] ?? '', { 'shop/web/0': 'starting' })
    agent.say(other, NAMES[other] ?? '', { 'shop/web/0': 'draining' })
    const { slots, peers } = watchReply(read(agent))
    assert.deepEqual(
      slots.filter(({ desired }) => desired).map(({ peer, state }) => [peer, state]),
      [[NAMES[seat], 'starting']],
    )
    assert.equal(slots.length, 2)
    assert.equal(peers.length, 3)
  })

  it('leaves out dead peers, and says null for a slot without one', () => {
    const agent = world(1)
    agent.states.set(agent.id(1), 'dead')
    agent.apply('shop', [service('web', { replicas: 1, constraints: ['node.name == nobody'] })])
    const { slots, peers } = watchReply(read(agent))
    assert.deepEqual(
      peers.map(({ name }) => name),
      ['ash', 'oak'],
    )
    assert.deepEqual([slots[0]?.peer, slots[0]?.state, slots[0]?.desired], [null, 'unfulfilled', true])
  })
})

describe('events', () => {
  const event = (at: number, peer: string, kind: 'member' | 'instance', message = 'm') => ({
    at,
    peer,
    kind,
    subject: 's',
    message,
  })

  it('are sorted by time and bounded, the last kept', () => {
    const merged = mergeEvents(
      [[event(1, 'a', 'instance'), event(3, 'a', 'instance')], [event(2, 'b', 'instance')]],
      2,
    )
    assert.deepEqual(
      merged.map(({ at }) => at),
      [2, 3],
    )
  })

  it('tell once what several peers noticed, and again what happened again', () => {
    const merged = mergeEvents(
      [
        [event(1, 'a', 'member'), event(20_000, 'a', 'member')],
        [event(5, 'b', 'member'), event(20_001, 'b', 'member')],
        [event(6, 'c', 'member', 'other')],
      ],
      100,
    )
    assert.deepEqual(
      merged.map(({ at, peer }) => `${at}${peer}`),
      ['1a', '6c', '20000a'],
    )
  })

  it('of one peer are never merged with each other', () => {
    assert.equal(mergeEvents([[event(1, 'a', 'member'), event(2, 'a', 'member')]], 100).length, 2)
  })
})
