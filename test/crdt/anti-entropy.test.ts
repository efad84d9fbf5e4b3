// Anti-entropy over a network that loses, repeats and reorders, on a clock of the test's own.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AntiEntropy, type SyncEffect, type SyncState } from '../../crdt/anti-entropy.ts'
import { applyCell } from '../../crdt/edits.ts'
import type { IntentReplica } from '../../crdt/replica.ts'
import { StatusMap } from '../../crdt/status-map.ts'
import { decodeSync } from '../../crdt/sync-message.ts'
import type { MemberId } from '../../lib/ids.ts'
import { seededRandom, type Random } from '../../lib/random.ts'
import { cell, edit, foundedCluster, memberOf, service, signerOf } from './cluster.ts'

interface Peer {
  readonly id: MemberId
  readonly intent: IntentReplica
  readonly status: StatusMap
  readonly machine: AntiEntropy
  readonly state: SyncState
  equals: number
}

interface Message {
  readonly from: MemberId
  readonly to: MemberId
  readonly bytes: Uint8Array
}

/** Room for two new services in a message, so that an exchange takes several. */
const INTENT_BYTES_MAX = 3000

const peerOf = (name: string, intent: IntentReplica, random: Random): Peer => {
  const id = memberOf(name)
  const status = new StatusMap({ signer: signerOf(name), incarnation: 1 })
  const options = { intentBytesMax: INTENT_BYTES_MAX }
  const machine = new AntiEntropy({ self: id, random: random.fork(name), options })
  const state: SyncState = {
    headsDigest: () => intent.headsDigest(),
    vector: () => intent.vector(),
    missingFrom: (vector, bytesMax) => intent.missingFrom(vector, bytesMax),
    statusDigest: () => status.digest(),
    statusVector: () => status.vector(),
    // Dan is of a version that knows no lists.
    listedVectorFor: (member) => (member === memberOf('dan') ? null : status.listedVector()),
    namedVector: (listed) => status.namedVector(listed),
    statusMissingFrom: (vector, bytesMax) => status.missingFrom(vector, bytesMax),
  }
  return { id, intent, status, machine, state, equals: 0 }
}

/** Peers, the messages between them, and a clock. `fate` says how often each message arrives. */
class Network {
  readonly peers: readonly Peer[]
  readonly sent: Message[] = []
  nowMs = 0
  readonly #fate: () => number
  readonly #random: Random
  #flying: Message[] = []

  constructor(peers: readonly Peer[], random: Random, fate: () => number = () => 1) {
    this.peers = peers
    this.#random = random
    this.#fate = fate
    for (const one of peers)
      for (const other of peers) if (one !== other) one.machine.connected(other.id, this.nowMs)
  }

  get equal(): boolean {
    const digests = this.peers.map(({ intent, status }) => intent.headsDigest() + status.digest())
    return new Set(digests).size === 1
  }

  step(): void {
    this.nowMs += 100
    for (const peer of this.peers) this.#perform(peer, peer.machine.tick(this.nowMs, peer.state))
    // What was in flight arrives in any order, some time.
    const arriving = this.#flying.filter(() => this.#random.below(3) > 0)
    this.#flying = this.#flying.filter((message) => !arriving.includes(message))
    for (const { from, to, bytes } of arriving.sort(() => this.#random.below(3) - 1)) {
      const peer = this.peers.find(({ id }) => id === to)
      assert.ok(peer)
      this.#perform(peer, peer.machine.receive(from, bytes, this.nowMs, peer.state))
    }
  }

  stepsUntilEqual(stepsMax: number): number {
    let steps = 0
    for (; !this.equal && steps < stepsMax; steps += 1) this.step()
    assert.ok(this.equal, `not equal after ${stepsMax} steps`)
    return steps
  }

  #perform(peer: Peer, effects: readonly SyncEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') {
        const message = { from: peer.id, to: effect.to, bytes: effect.bytes }
        this.sent.push(message)
        for (let copies = this.#fate(); copies > 0; copies -= 1) this.#flying.push(message)
      } else if (effect.kind === 'ingest') {
        const { staged, invalid } = peer.intent.judge(effect.intent)
        assert.deepEqual(invalid, [])
        peer.intent.commit(staged)
        for (const record of effect.status) assert.notEqual(peer.status.ingest(record).kind, 'invalid')
      } else {
        peer.equals += 1
      }
    }
  }
}

const busyNetwork = (seed: string, fate: (random: Random) => number = () => 1): Network => {
  const random = seededRandom(seed)
  const names = ['ada', 'bob', 'cem', 'dan']
  const peers = foundedCluster(...names.slice(1)).map((intent, at) => peerOf(names[at] ?? '', intent, random))
  for (const [at, { intent, status }] of peers.entries()) {
    for (let round = 0; round < 6; round += 1)
      edit(intent, applyCell(intent.view(), cell(`cell-${at}`, service(`s${round}`), service('x'))).edits)
    for (let round = 0; round < 5; round += 1) {
      status.set(`k${round}`, round)
      status.seal()
    }
  }
  const chance = random.fork('fate')
  return new Network(peers, random.fork('order'), () => fate(chance))
}

describe('anti-entropy', () => {
  it('makes everyone equal soon after they connect', () => {
    const network = busyNetwork('calm')
    const steps = network.stepsUntilEqual(200)
    assert.ok(steps < 100, `${steps} steps`)
    const views = new Set(network.peers.map(({ intent }) => JSON.stringify(intent.view())))
    assert.equal(views.size, 1)
  })

  for (const percent of [10, 30])
    it(`converges although ${percent} of 100 messages are lost and as many come twice`, () => {
      const network = busyNetwork(`loss ${percent}`, (chance) => {
        const draw = chance.below(100)
        return draw < percent ? 0 : draw < 2 * percent ? 2 : 1
      })
      network.stepsUntilEqual(1000)
    })

  it('names no member to one that has the same members', () => {
    const network = busyNetwork('lists')
    const members = new Set(network.peers.map(({ id }) => id))
    for (const { status } of network.peers) status.retain(members)
    network.stepsUntilEqual(200)
    const kinds = (to: 'dan' | 'bob') =>
      new Set(
        network.sent
          .filter((message) => message.to === memberOf(to) && message.from !== memberOf('dan'))
          .map(({ bytes }) => decodeSync(bytes))
          .filter((message) => message.kind === 'listed' || (message.kind === 'vectors' && message.status))
          .map(({ kind }) => kind),
      )
    assert.deepEqual(kinds('bob'), new Set(['listed']))
    assert.deepEqual(kinds('dan'), new Set(['vectors']))
  })

  it('goes by names where members differ', () => {
    const network = busyNetwork('other lists')
    const members = network.peers.map(({ id }) => id)
    for (const { id, status } of network.peers)
      status.retain(new Set(id === memberOf('bob') ? [...members, memberOf('eve')] : members))
    network.stepsUntilEqual(300)
  })

  it('exchanges some 40 bytes a round and peer when there is nothing to say', () => {
    const network = busyNetwork('idle')
    network.stepsUntilEqual(300)
    for (let steps = 0; steps < 30; steps += 1) network.step()
    const from = network.sent.length
    const before = network.peers.map(({ equals }) => equals)
    for (let steps = 0; steps < 100; steps += 1) network.step()
    const sent = network.sent.slice(from)
    assert.ok(sent.every(({ bytes }) => bytes.length <= 40))
    // 10 s of rounds of about 1 s: a digest and its answer, for each of the 4 peers.
    assert.ok(sent.length >= 50 && sent.length <= 120, `${sent.length} messages`)
    for (const [at, { equals }] of network.peers.entries()) assert.ok(equals > (before[at] ?? 0))
  })

  it('keeps every message with intent close to the size asked for', () => {
    const network = busyNetwork('batches')
    network.stepsUntilEqual(300)
    const batches = network.sent
      .map(({ bytes }) => decodeSync(bytes))
      .filter(({ kind }) => kind === 'records')
    assert.ok(batches.length > 4)
    for (const batch of batches)
      if (batch.kind === 'records' && batch.intent.length > 1)
        assert.ok(batch.intent.reduce((sum, { length }) => sum + length, 0) <= INTENT_BYTES_MAX)
  })

  it('does nothing about malformed messages but count them', () => {
    const network = busyNetwork('malformed')
    const [ada] = network.peers
    assert.ok(ada)
    const random = seededRandom('noise')
    const before = ada.machine.counts.malformed
    for (let round = 0; round < 300; round += 1) {
      const noise = random.bytes(random.below(60))
      const effects = ada.machine.receive(memberOf('bob'), noise, 0, ada.state)
      for (const effect of effects) assert.notEqual(effect.kind, 'ingest')
    }
    assert.ok(ada.machine.counts.malformed > before + 250)
    assert.match(ada.machine.counts.lastMalformed, /\w/)
  })

  it('asks a peer again at once after a reconnect', () => {
    const network = busyNetwork('reconnect')
    network.stepsUntilEqual(300)
    const [ada, bob] = network.peers
    assert.ok(ada && bob)
    const [low, high] = ada.id < bob.id ? [ada, bob] : [bob, ada]
    low.machine.disconnected(high.id)
    low.machine.connected(high.id, network.nowMs)
    const effects = low.machine.tick(network.nowMs, low.state)
    assert.ok(effects.some((effect) => effect.kind === 'send' && effect.to === high.id))
  })
})
