// The value that `GET /v1/watch` streams: who is there, who agrees, and every slot. Pure; watch-feed.ts decides when.

import type { WatchReply } from '../api/contract-streams.ts'
import { instanceRows } from './instances.ts'
import { nameOf, type Reading } from './reading.ts'
import { judgedRollouts } from './rollouts.ts'
import { waitingOf } from './settled.ts'

export const watchReply = (reading: Reading): WatchReply => {
  const { view } = reading.snapshot
  const placed = new Map<string, string | null>()
  for (const { slot, member } of reading.placements.values()) {
    placed.set(slot, member === null ? null : nameOf(reading, member))
  }
  const releases = new Map(
    view.services.map((service) => [`${service.cell}/${service.name}`, service.release]),
  )
  return {
    digest: view.digest,
    settled: waitingOf(reading).length === 0,
    peers: reading.members
      .filter(({ present }) => present)
      .map(({ view: { name }, state, status }) => ({
        name,
        state,
        digest: status?.report?.digest ?? '',
        settled: status?.report?.settled ?? false,
      })),
    slots: instanceRows(reading).map(({ slot, cell, service, peer, state, release, reason, ...row }) => ({
      slot,
      peer: peer === '' ? null : peer,
      state,
      release,
      desired:
        placed.has(slot) &&
        placed.get(slot) === (peer === '' ? null : peer) &&
        releases.get(`${cell}/${service}`) === release,
      unfulfilled: row.unfulfilledSince !== null,
      reason,
    })),
    rollouts: judgedRollouts(reading),
  }
}
