// The reply of `GET /v1/peers`: the members, with what each says of itself and how it is seen from here. Pure.

import { isMerelyWanted } from '../../plan/eligibility.ts'
import type { PeersReply } from '../api/contract.ts'
import { asOf, type Reading, type ReadMember } from './reading.ts'

export const peersReply = (reading: Reading): PeersReply => ({
  asOf: asOf(reading),
  cluster: reading.snapshot.view.cluster,
  braked: reading.snapshot.membership.brakedUntilMs !== null,
  peers: reading.members.map((member) => peerOf(reading, member)),
})

const peerOf = (
  reading: Reading,
  { view, state, sinceMs, status }: ReadMember,
): PeersReply['peers'][number] => {
  const facts = status?.facts ?? null
  const running = [...(status?.instances.values() ?? [])].filter(
    (instance) => !isMerelyWanted(instance) && instance.state !== 'stopped',
  )
  const self = view.id === reading.snapshot.self
  return {
    name: view.name,
    id: view.id,
    state,
    self,
    role: view.role,
    cordoned: view.cordoned,
    draining: view.draining,
    labels: { ...facts?.labels },
    capacity: { cpus: (facts?.cpusMilli ?? 0) / 1000, memory: facts?.memoryBytes ?? 0 },
    addresses: [...(facts?.addresses ?? view.addresses)],
    version: facts?.version ?? '',
    ...(facts === null ? {} : { startedAt: facts.startedAt }),
    instances: running.length,
    // What this peer's own view is, it knows better than its report, which is a pass old.
    digest: self ? reading.snapshot.view.digest : (status?.report?.digest ?? ''),
    settled: status?.report?.settled ?? false,
    // A living member is heard several times a second; how long ago exactly is its observers' knowledge.
    ageMs: state === 'alive' ? 0 : Math.max(0, Math.round(reading.snapshot.nowMs - sinceMs)),
  }
}
