// A bare libp2p node that speaks what it likes: the enemy in the tests beside this file. It runs gossipsub with default
// settings, takes every stream that is offered, and writes down all it receives.

import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { gossipsub, StrictNoSign, type GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

export type RawNode = Libp2p<{
  readonly pubsub: GossipSub
  readonly identify: ReturnType<ReturnType<typeof identify>>
}>

export interface RawPeer {
  readonly node: RawNode
  /** Everything heard: gossip, subscriptions, streams that were opened to it. */
  readonly heard: string[]
  dial(address: string | undefined): Promise<Connection>
}

export const createRawPeer = async (seed: Uint8Array, topic: string): Promise<RawPeer> => {
  const heard: string[] = []
  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', seed),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: {
      identify: identify(),
      pubsub: gossipsub({ globalSignaturePolicy: StrictNoSign, allowPublishToZeroTopicPeers: true }),
    },
  })
  const { pubsub } = node.services
  pubsub.addEventListener('message', (event) => heard.push(`gossip on ${event.detail.topic}`))
  pubsub.addEventListener('subscription-change', () => heard.push('a subscription'))
  node.addEventListener('peer:identify', () => heard.push('an identity'))
  pubsub.subscribe(topic)
  return {
    node,
    heard,
    dial: (address) => node.dial(multiaddr(address ?? '/ip4/127.0.0.1/tcp/1')),
  }
}
