// What every Transport must do (net/transport.ts), as one suite: production over libp2p and the simulated network both
// pass it. It waits on conditions only; whoever implements a fleet decides how time passes meanwhile. The claims are in
// the folder beside this file.

import assert from 'node:assert/strict'
import { afterEach, describe } from 'node:test'
import { channelClaims } from './transport/channels.ts'
import { connectionClaims } from './transport/connections.ts'
import { conversationClaims } from './transport/conversations.ts'
import { connectPeers, startPeers, type Fleet, type MakeFleet, type Peer } from './transport/fleet.ts'
import { gossipClaims } from './transport/gossip.ts'
import { joinClaims } from './transport/joins.ts'
import { requestClaims } from './transport/requests.ts'

/** Runs the suite against fleets of one implementation. */
export const transportContract = (name: string, makeFleet: MakeFleet): void => {
  describe(`${name} (transport contract)`, () => {
    let fleet: Fleet | null = null
    const open = async (size: number): Promise<readonly [Fleet, readonly Peer[]]> => {
      fleet = await makeFleet(size)
      return [fleet, await startPeers(fleet)]
    }
    const openTwo = async (): Promise<readonly [Fleet, Peer, Peer]> => {
      const [opened, [a, b]] = await open(2)
      assert.ok(a !== undefined && b !== undefined)
      return [opened, a, b]
    }
    const connectedTwo = async (): Promise<readonly [Fleet, Peer, Peer]> => {
      const two = await openTwo()
      await connectPeers(...two)
      return two
    }
    afterEach(async () => {
      await fleet?.close()
      fleet = null
    })
    connectionClaims(openTwo, connectedTwo)
    channelClaims(openTwo, connectedTwo)
    gossipClaims(open)
    requestClaims(openTwo, connectedTwo)
    conversationClaims(connectedTwo)
    joinClaims(openTwo)
  })
}
