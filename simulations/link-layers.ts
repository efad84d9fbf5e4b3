// Trouble on links, in layers: each fault that lasts adds one and takes it away again, in any order, and what a link
// suffers is the sum. So partitions may overlap flapping links, and either may be left out of a replay.

import type { MemberId } from '../lib/ids.ts'
import { DEFAULT_LINK, type LinkConditions, type SimulatedNetwork } from './network.ts'

export interface LinkLayer {
  /** Which directions it concerns. */
  readonly concerns: (from: MemberId, to: MemberId) => boolean
  readonly cut?: boolean
  readonly conditions?: Partial<LinkConditions>
}

export class LinkLayers {
  readonly #network: SimulatedNetwork
  readonly #members: () => readonly MemberId[]
  readonly #layers = new Set<LinkLayer>()

  constructor(network: SimulatedNetwork, members: () => readonly MemberId[]) {
    this.#network = network
    this.#members = members
  }

  get active(): number {
    return this.#layers.size
  }

  /** Adds a layer; the returned function takes it away. */
  add(layer: LinkLayer): () => void {
    this.#layers.add(layer)
    this.refresh()
    return () => {
      if (this.#layers.delete(layer)) this.refresh()
    }
  }

  /** Works out every link anew: also when a machine has joined. */
  refresh(): void {
    const members = this.#members()
    for (const from of members) for (const to of members) if (from !== to) this.#set(from, to)
  }

  #set(from: MemberId, to: MemberId): void {
    let conditions = DEFAULT_LINK
    let cut = false
    for (const layer of this.#layers) {
      if (!layer.concerns(from, to)) continue
      cut ||= layer.cut === true
      conditions = { ...conditions, ...layer.conditions }
    }
    this.#network.setLink(from, to, conditions)
    if (cut) this.#network.cutOneWay(from, to)
    else this.#network.mendOneWay(from, to)
  }
}
