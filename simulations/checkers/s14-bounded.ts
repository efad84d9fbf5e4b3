// S14: what a peer holds is a function of what lives: statuses of members only, a ring of events, a log that snapshots cut.

import type { AgentSnapshot } from '../../node/ports.ts'
import type { Checker } from './checker.ts'

/** The ring of node/agent/event-ring.ts, with room for a change of it. */
const EVENTS_MAX = 2000
/** Two snapshots and the log up to the next one, each about a megabyte, and the document's own history. */
const DISK_BYTES_MAX = 16 * 1024 * 1024

/** A peer gives all its events, and they do not become many at once. */
const EVENTS_LOOKS = 10

export const bounded = (): Checker => {
  let looks = 0
  return {
    invariant: 'S14',
    look: ({ world }) => {
      looks += 1
      return world.machines.flatMap(({ agent, disk, name }) => {
        if (agent === null) return []
        const wrongs: string[] = []
        const strangers = strangersIn(world.sightOf(agent))
        if (strangers > 0) wrongs.push(`${name} keeps statuses of ${strangers} strangers`)
        const events = looks % EVENTS_LOOKS === 0 ? agent.events().length : 0
        if (events > EVENTS_MAX) wrongs.push(`${name} keeps ${events} events`)
        if (disk.bytesUsed() > DISK_BYTES_MAX)
          wrongs.push(`${name} uses ${disk.bytesUsed()} bytes of its disk`)
        return wrongs
      })
    },
  }
}

/** Statuses of neither a member nor the peer itself. */
const strangersIn = ({ view, statuses, self }: AgentSnapshot): number => {
  // Before its first sync a peer knows no members and keeps what its bootstrap says.
  if (view.members.length === 0) return 0
  let strangers = statuses.size
  for (const { id } of view.members) if (statuses.has(id)) strangers -= 1
  const isMember = view.members.some(({ id }) => id === self)
  return !isMember && statuses.has(self) ? strangers - 1 : strangers
}
