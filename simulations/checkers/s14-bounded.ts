// S14: what a peer holds is a function of what lives: statuses of members only, a ring of events, a log that snapshots cut.

import type { Checker } from './checker.ts'

/** The ring of node/agent/event-ring.ts, with room for a change of it. */
const EVENTS_MAX = 2000
/** Two snapshots and the log up to the next one, each about a megabyte, and the document's own history. */
const DISK_BYTES_MAX = 16 * 1024 * 1024

export const bounded = (): Checker => ({
  invariant: 'S14',
  look: ({ world }) =>
    world.machines.flatMap(({ agent, disk, name }) => {
      if (agent === null) return []
      const { view, statuses, self } = world.sightOf(agent)
      const wrongs: string[] = []
      const known = new Set<string>(view.members.map(({ id }) => id))
      // Before its first sync a peer knows no members and keeps what its bootstrap says.
      const strangers = view.members.length === 0 ? [] : [...statuses.keys()].filter((id) => !known.has(id))
      if (strangers.some((id) => id !== self))
        wrongs.push(`${name} keeps statuses of ${strangers.length} strangers`)
      if (agent.events().length > EVENTS_MAX) wrongs.push(`${name} keeps ${agent.events().length} events`)
      if (disk.bytesUsed() > DISK_BYTES_MAX) wrongs.push(`${name} uses ${disk.bytesUsed()} bytes of its disk`)
      return wrongs
    }),
})
