// Who may do what on this peer's libp2p node: members everything, keys of tickets the join protocol, anybody else
// nothing. The gater asks it at the door; `guardedRegistrar` asks it again at every inbound stream, so that neither
// identify nor gossipsub ever meets a key that is not a member (S12). Decides nothing about who is in the sets.

import type { ConnectionGater, PeerId, StreamHandler, Topology } from '@libp2p/interface'
import type { GossipSubComponents } from '@libp2p/gossipsub'
import type { MemberId } from '../../lib/ids.ts'

type Registrar = GossipSubComponents['registrar']

/** The member id that a libp2p peer id is. */
export const memberOf = (peer: PeerId): MemberId => peer.toString() as MemberId

/** The two sets, and what left them at the last change. */
export class Admission {
  #members: ReadonlySet<MemberId> = new Set()
  #invites: ReadonlySet<MemberId> = new Set()

  isMember(id: MemberId): boolean {
    return this.#members.has(id)
  }

  /** A key of a ticket that is not also a member's. */
  isGuest(id: MemberId): boolean {
    return this.#invites.has(id) && !this.#members.has(id)
  }

  /** Replaces the members; returns who is no member any more. */
  setMembers(members: ReadonlySet<MemberId>): readonly MemberId[] {
    const gone = [...this.#members].filter((id) => !members.has(id))
    this.#members = new Set(members)
    return gone
  }

  /** Replaces the keys of tickets; returns those that may not connect any more. */
  setInvites(invites: ReadonlySet<MemberId>): readonly MemberId[] {
    const gone = [...this.#invites].filter((id) => !invites.has(id))
    this.#invites = new Set(invites)
    return gone
  }

  /** Members both ways, guests inbound only. */
  gater(): ConnectionGater {
    const noMember = (peer: PeerId): boolean => !this.isMember(memberOf(peer))
    return {
      denyDialPeer: noMember,
      // Addresses come from the document and may well be private ones.
      denyDialMultiaddr: () => false,
      denyOutboundEncryptedConnection: noMember,
      denyInboundEncryptedConnection: (peer) => noMember(peer) && !this.isGuest(memberOf(peer)),
    }
  }

  /** A registrar whose handlers and topologies meet members only; for services that take part in the cluster. */
  guarded(registrar: Registrar): Registrar {
    const guardHandler =
      (handler: StreamHandler): StreamHandler =>
      (stream, connection) => {
        if (this.isMember(memberOf(connection.remotePeer))) return handler(stream, connection)
        stream.abort(new Error('not a member'))
      }
    const guardTopology = (topology: Topology): Topology => ({
      ...topology,
      onConnect: async (peer, connection) => {
        if (this.isMember(memberOf(peer))) await topology.onConnect?.(peer, connection)
      },
    })
    return {
      getProtocols: () => registrar.getProtocols(),
      handle: (protocol, handler, options) => registrar.handle(protocol, guardHandler(handler), options),
      unhandle: (protocol, options) => registrar.unhandle(protocol, options),
      getHandler: (protocol) => registrar.getHandler(protocol),
      use: (protocol, middleware) => registrar.use(protocol, middleware),
      unuse: (protocol) => registrar.unuse(protocol),
      getMiddleware: (protocol) => registrar.getMiddleware(protocol),
      register: (protocol, topology, options) =>
        registrar.register(protocol, guardTopology(topology), options),
      unregister: (id) => registrar.unregister(id),
      getTopologies: (protocol) => registrar.getTopologies(protocol),
    }
  }
}
