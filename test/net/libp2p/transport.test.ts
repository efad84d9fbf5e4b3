// The contract suite over real libp2p nodes on loopback.

import { transportContract } from '../../contracts/transport.ts'
import { makeLibp2pFleet } from './fleet.ts'

transportContract('libp2p', makeLibp2pFleet)
