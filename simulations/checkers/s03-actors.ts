// S3: no (actor, seq) is ever used for two changes, not after a crash, a restore or a clone. Every record that any store
// was given is looked at.

import { decodeRecord } from '../../crdt/record.ts'
import type { Checker } from './checker.ts'

export const actorReuse = (): Checker => {
  const hashes = new Map<string, string>()
  const seen = new WeakSet<Uint8Array>()
  return {
    invariant: 'S3',
    kept: (_scene, machine, frames) =>
      frames.flatMap(({ kind, bytes }) => {
        if (kind !== 'intent' || seen.has(bytes)) return []
        seen.add(bytes)
        const { actor, seq, hash } = decodeRecord(bytes)
        const key = `${actor} ${seq}`
        const known = hashes.get(key)
        hashes.set(key, known ?? hash)
        if (known === undefined || known === hash) return []
        return [`actor ${actor.slice(0, 8)} wrote two changes with seq ${seq} (${machine.name})`]
      }),
  }
}
