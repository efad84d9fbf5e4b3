// Connections in trouble: mutual dials, broken gossip streams, dead addresses. Gossip and messages must work both
// ways afterwards, which is what libp2p alone does not give.

import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { utf8 } from '../../../lib/bytes.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import { gossipTopic } from '../../../net/libp2p/wire.ts'
import {
  connectPeers,
  type Fleet,
  heard,
  type Peer,
  publishUntil,
  startPeers,
} from '../../contracts/transport/fleet.ts'
import { CLUSTER, makeLibp2pFleet, seedOf } from './fleet.ts'
import { createRawPeer } from './raw-peer.ts'
import { talkBothWays } from './talk.ts'
import { until } from '../../support/until.ts'

describe('connections of libp2p transports', () => {
  let fleet: Fleet | null = null
  afterEach(async () => {
    await fleet?.close()
    fleet = null
  })

  const openTwo = async (): Promise<readonly [Fleet, Peer, Peer]> => {
    fleet = await makeLibp2pFleet(2)
    const [a, b] = await startPeers(fleet)
    assert.ok(a !== undefined && b !== undefined)
    return [fleet, a, b]
  }

  it('leave messages and gossip working both ways after mutual dials, twelve times of twelve', async () => {
    for (let round = 0; round < 12; round += 1) {
      const [opened, a, b] = await openTwo()
      const dials = [
        a.transport.dial(b.id, b.transport.addresses()),
        b.transport.dial(a.id, a.transport.addresses()),
      ]
      assert.deepEqual(await Promise.all(dials), [true, true])
      await talkBothWays(opened, a, b, `round${round}`)
      assert.deepEqual([a.events, b.events], [[`+${b.id}`], [`+${a.id}`]])
      await opened.close()
    }
  })

  it('keep the order of messages, and lose none, while a duplicate connection is thinned out', async () => {
    const [opened, a, b] = await openTwo()
    await Promise.all([
      a.transport.dial(b.id, b.transport.addresses()),
      b.transport.dial(a.id, a.transport.addresses()),
    ])
    await until(() => a.sees(b) && b.sees(a), 'both are connected')
    let sent = 0
    // Long enough to see the superfluous connection off: its grace is a second.
    const end = performance.now() + 1600
    while (performance.now() < end) {
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const)
        assert.ok(from.transport.send(to.id, 'sync', utf8(`${sent}`)))
      sent += 1
      await until(
        () => a.messages.length >= sent - 50 && b.messages.length >= sent - 50,
        'messages keep coming',
      )
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await until(() => a.messages.length === sent && b.messages.length === sent, 'all messages arrive')
    const expected = Array.from({ length: sent }, (_, at) => `${at}`)
    assert.deepEqual([a.texts('sync'), b.texts('sync')], [expected, expected])
    assert.deepEqual([a.events.length, b.events.length], [1, 1], 'nothing was reported as ended')
    await talkBothWays(opened, a, b, 'after')
  })

  it('survive a connection that is cut in the very turn in which streams are opened on it', async () => {
    // The runner survives what would end a peer's process; the monitor sees it all the same.
    const crashes: unknown[] = []
    const note = (thrown: unknown): void => void crashes.push(thrown)
    process.on('uncaughtExceptionMonitor', note)
    const [opened, a, b] = await openTwo()
    for (let round = 1; round <= 3; round += 1) {
      await connectPeers(opened, a, b)
      a.transport.send(b.id, 'beat', utf8('x'))
      a.transport.send(b.id, 'sync', utf8('x'))
      a.transport.disconnect(b.id)
      await until(() => a.silences.length === round && b.silences.length === round, 'both ends know')
    }
    process.off('uncaughtExceptionMonitor', note)
    assert.deepEqual(crashes, [])
  })

  it('reopen gossip streams that broke while the connection lives', async () => {
    const [opened, a] = await openTwo()
    const topic = gossipTopic(CLUSTER)
    const raw = await createRawPeer(seedOf(50), topic)
    try {
      const key = signerFromSeed(seedOf(50)).member
      a.transport.setMembers(new Set([a.id, key]))
      const connection = await raw.dial(a.transport.addresses()[0])
      const gossipBothWays = async (label: string): Promise<void> => {
        raw.heard.length = 0
        await publishUntil(opened, a, label, () => raw.heard.includes(`gossip on ${topic}`))
        let round = 0
        await until(() => {
          void raw.node.services.pubsub.publish(topic, utf8(`${label}-raw-${round}`))
          round += 1
          return heard(a, `${label}-raw`)
        }, 'gossip comes back')
      }
      await gossipBothWays('first')
      for (const direction of ['inbound', 'outbound'] as const) {
        const broken = connection.streams.filter(
          (stream) => stream.direction === direction && stream.protocol.startsWith('/meshsub/'),
        )
        for (const stream of broken) stream.abort(new Error('broken for the test'))
        await gossipBothWays(direction)
      }
      assert.equal(connection.status, 'open')
      assert.deepEqual(a.events, [`+${key}`])
    } finally {
      await raw.node.stop()
    }
  })

  it('reach a member behind dead and foreign addresses', async () => {
    const [opened, a, b] = await openTwo()
    const foreign = a.transport.addresses()[0]?.replace(a.id, b.id) ?? ''
    // Port 1 of loopback refuses; the peer's own address answers with another key.
    const addresses = ['/ip4/127.0.0.1/tcp/1', foreign, 'not an address', ...b.transport.addresses()]
    assert.equal(await opened.run(a.transport.dial(b.id, addresses)), true)
  })
})
