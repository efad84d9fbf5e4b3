// What a hostile or foreign node can do to a peer, and learn from it: a newcomer that runs gossipsub instead of joining, a
// stranger, and a member that sends garbage.

import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { utf8 } from '../../../lib/bytes.ts'
import { LIMITS } from '../../../lib/limits.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import { frameOf } from '../../../net/libp2p/frames.ts'
import { askProtocol, channelProtocol, gossipTopic, JOIN_PROTOCOL } from '../../../net/libp2p/wire.ts'
import {
  connectPeers,
  type Fleet,
  type Peer,
  publishUntil,
  startPeers,
} from '../../contracts/transport/fleet.ts'
import { CLUSTER, makeLibp2pFleet, seedOf } from './fleet.ts'
import { createRawPeer, type RawPeer } from './raw-peer.ts'
import { until } from '../../support/until.ts'

const RAW_SEED = seedOf(50)
const RAW_KEY = signerFromSeed(RAW_SEED).member
const TOPIC = gossipTopic(CLUSTER)

describe('strangers at a libp2p transport', () => {
  let fleet: Fleet | null = null
  let raw: RawPeer | null = null
  afterEach(async () => {
    await raw?.node.stop()
    await fleet?.close()
    fleet = null
    raw = null
  })

  const open = async (): Promise<{ fleet: Fleet; a: Peer; b: Peer; raw: RawPeer }> => {
    fleet = await makeLibp2pFleet(2)
    raw = await createRawPeer(RAW_SEED, TOPIC)
    const [a, b] = await startPeers(fleet)
    assert.ok(a !== undefined && b !== undefined)
    return { fleet, a, b, raw }
  }
  /** The raw node as an admitted member, with gossip flowing both ways. */
  const openMember = async () => {
    const opened = await open()
    const { a, b, raw } = opened
    for (const peer of [a, b]) peer.transport.setMembers(new Set([a.id, b.id, RAW_KEY]))
    await connectPeers(opened.fleet, a, b)
    const connection = await raw.dial(a.transport.addresses()[0])
    await until(() => a.transport.connections().has(RAW_KEY), 'the raw member is connected')
    return { ...opened, connection }
  }

  it('tell a newcomer that runs gossipsub nothing at all (S12)', async () => {
    const { fleet, a, b, raw } = await open()
    a.transport.setInvites(new Set([RAW_KEY]))
    await connectPeers(fleet, a, b)
    const connection = await raw.dial(a.transport.addresses()[0])
    await until(() => connection.status === 'open', 'the newcomer is let in')
    // What a member would do: gossip streams, subscriptions, messages, questions.
    for (const protocol of [
      '/meshsub/1.2.0',
      '/meshsub/1.1.0',
      '/ipfs/id/1.0.0',
      channelProtocol(CLUSTER, 'beat'),
      channelProtocol(CLUSTER, 'sync'),
      askProtocol(CLUSTER),
    ]) {
      try {
        const stream = await connection.newStream(protocol)
        stream.addEventListener('message', () => raw.heard.push(`an answer on ${protocol}`))
        stream.send(frameOf(utf8('hello')))
      } catch {
        // Refused before it was opened: as good.
      }
    }
    await raw.node.services.pubsub.publish(TOPIC, utf8('from outside'))
    await publishUntil(fleet, a, 'news', () => b.gossiped.length > 5)
    assert.deepEqual(raw.heard, [])
    assert.deepEqual(
      connection.streams.filter((stream) => stream.direction === 'inbound'),
      [],
    )
    assert.deepEqual(a.gossiped, [])
    assert.deepEqual(a.messages, [])
    assert.deepEqual(a.events, [`+${b.id}`])
  })

  it('cut a newcomer when its ticket is withdrawn', async () => {
    const { a, raw } = await open()
    a.transport.setInvites(new Set([RAW_KEY]))
    const connection = await raw.dial(a.transport.addresses()[0])
    a.transport.setInvites(new Set())
    await until(() => connection.status !== 'open', 'the newcomer is cut')
  })

  it('hang up on a key that is neither a member nor a ticket', async () => {
    const { a, raw } = await open()
    const connection = await raw.dial(a.transport.addresses()[0]).catch(() => null)
    await until(() => connection === null || connection.status !== 'open', 'the stranger is hung up on')
    assert.deepEqual([a.events, raw.heard], [[], []])
  })

  it('refuse the join protocol to a member, and an oversized request to a newcomer', async () => {
    const { a, raw } = await open()
    let asked = 0
    a.admit = async () => {
      asked += 1
      return new Uint8Array()
    }
    a.transport.setInvites(new Set([RAW_KEY]))
    const connection = await raw.dial(a.transport.addresses()[0])
    const stream = await connection.newStream(JOIN_PROTOCOL)
    stream.send(frameOf(new Uint8Array(64 * 1024)))
    await until(() => stream.status !== 'open' || stream.remoteWriteStatus !== 'writable', 'it is refused')
    assert.equal(asked, 0)
  })

  it('end the stream of malformed, oversized and truncated frames, and nothing else', async () => {
    const { a, connection, raw } = await openMember()
    const garbage = [
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0x80, 0x00),
      // One more than a heartbeat channel takes.
      Uint8Array.of(0x81, 0x20),
    ]
    for (const bytes of garbage) {
      const stream = await connection.newStream(channelProtocol(CLUSTER, 'beat'))
      stream.send(bytes)
      await until(() => stream.status !== 'open', 'the stream is ended')
    }
    const truncated = await connection.newStream(channelProtocol(CLUSTER, 'sync'))
    truncated.send(frameOf(utf8('whole')))
    truncated.send(Uint8Array.of(9, 1, 2))
    await truncated.close()
    await until(() => truncated.status !== 'open', 'the stream is ended')
    assert.deepEqual(a.texts('sync'), ['whole'])
    assert.deepEqual(a.texts('beat'), [])
    assert.ok(a.transport.connections().has(RAW_KEY))
    assert.equal(connection.status, 'open')
    assert.equal(raw.node.getConnections().length, 1)
  })

  it('survive questions that are garbage', async () => {
    const { a, connection } = await openMember()
    let asked = 0
    a.answer = async function* () {
      asked += 1
      yield new Uint8Array()
    }
    for (const bytes of [
      utf8('not a frame at all'),
      frameOf(Uint8Array.of(200, 1, 1)),
      frameOf(new Uint8Array()),
    ]) {
      const stream = await connection.newStream(askProtocol(CLUSTER))
      stream.send(bytes)
      await stream.close()
      await until(() => stream.status !== 'open', 'the question is refused')
    }
    assert.equal(asked, 0)
    assert.ok(a.transport.connections().has(RAW_KEY))
  })

  it('pass on no gossip that is oversized, on another topic or no RPC at all, and keep gossiping', async () => {
    const { fleet, a, b, connection, raw } = await openMember()
    const { pubsub } = raw.node.services
    await until(() => pubsub.getSubscribers(TOPIC).length > 0, 'the raw member sees a subscriber')
    await pubsub.publish(TOPIC, new Uint8Array(LIMITS.gossipBytesMax + 1).fill(65))
    await pubsub.publish('another topic', utf8('stray'))
    const stream = await connection.newStream('/meshsub/1.1.0')
    stream.send(frameOf(Uint8Array.from({ length: 300 }, (_, at) => (at * 37) % 256)))
    stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f))
    await publishUntil(fleet, a, 'still', () => b.gossiped.some((text) => text.startsWith('still')))
    const own = pubsub.publish(TOPIC, utf8('fair'))
    await own
    await until(
      () => [...a.gossiped, ...b.gossiped].every((text) => text.length < 100),
      'nothing large arrived',
    )
    assert.ok(!a.gossiped.includes('stray') && !b.gossiped.includes('stray'))
  })

  it('hear nothing more from a member that is removed (S12)', async () => {
    const { a, b, connection } = await openMember()
    const stream = await connection.newStream(channelProtocol(CLUSTER, 'sync'))
    stream.send(frameOf(utf8('before')))
    await until(() => a.messages.length === 1, 'a member is heard')
    a.transport.setMembers(new Set([a.id, b.id]))
    assert.ok(!a.transport.connections().has(RAW_KEY))
    await until(() => connection.status !== 'open', 'its connection is cut')
    assert.equal(a.messages.length, 1)
  })
})
