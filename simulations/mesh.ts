// Gossip's mesh, as far as a simulation needs one: each end chooses a few of its connections, the nearest by
// a hash of both ends, and a connection is in the mesh when one of the two has chosen it, as a graft binds both. Deliberately
// absent: heartbeats, pruning and what gossipsub tells beside the mesh; anti-entropy covers what a mesh leaves out.

import { hash32 } from '../lib/hash.ts'
import type { MemberId } from '../lib/ids.ts'
import { compareStrings } from '../lib/order.ts'

/** Chosen by one of both ends, which makes some five for each: gossipsub is set up for a mesh of four, three to eight. */
const MESH_DEGREE = 3

export class Mesh {
  readonly #self: MemberId
  #chosen: ReadonlySet<MemberId> | null = null
  #among: { readonly wiring: number; readonly members: readonly MemberId[] } | null = null

  constructor(self: MemberId) {
    this.#self = self
  }

  /** A connection came up or went. */
  changed(): void {
    this.#chosen = null
  }

  /**
   * Of its connections those in the mesh; `other` finds the mesh at the other end. `wiring`: another number whenever anybody's
   * connections are others, since it is asked for each message.
   */
  among(
    connected: readonly MemberId[],
    other: (member: MemberId) => ReadonlySet<MemberId> | undefined,
    wiring: number,
  ): readonly MemberId[] {
    if (this.#among?.wiring === wiring) return this.#among.members
    const chosen = this.choose(connected)
    const members = connected.filter((id) => chosen.has(id) || other(id)?.has(this.#self) === true)
    this.#among = { wiring, members }
    return members
  }

  /** Whom this end chooses. */
  choose(connected: readonly MemberId[]): ReadonlySet<MemberId> {
    this.#chosen ??= new Set(
      connected
        .map((id) => ({ id, rank: hash32([id, this.#self].sort(compareStrings).join(' ')) }))
        .sort((a, b) => a.rank - b.rank || compareStrings(a.id, b.id))
        .slice(0, MESH_DEGREE)
        .map(({ id }) => id),
    )
    return this.#chosen
  }
}
