// Histories of an intent, told and drawn at random: what the tests of the past, of releases, of rollbacks and of diffs are
// about. It judges nothing.

import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { removeBuildDuty, setBuildDuty } from '../../crdt/build-duty-edits.ts'
import type { Edit } from '../../crdt/edit.ts'
import { applyCell, cordon, removeService, restart, scale, stop, uncordon } from '../../crdt/edits.ts'
import { putPackage, removePackage } from '../../crdt/edits-package.ts'
import type { IntentReplica, Staged } from '../../crdt/replica.ts'
import type { View } from '../../crdt/schema/view.ts'
import { defined } from '../../lib/assert.ts'
import { TuttiError } from '../../lib/errors.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { ChangeHash, ServiceId } from '../../lib/ids.ts'
import { cell, edit, foundedCluster, pull, service } from './cluster.ts'

/** The service that these histories are mostly about. */
export const WEB = 'shop/web' as ServiceId

/** A service of a view that has it. */
export const serviceIn = (view: View, id: ServiceId = WEB) =>
  defined(
    view.services.find((one) => one.id === id),
    id,
  )

/** Applies the cell shop with web at this version. */
export const apply = (replica: IntentReplica, version: string, at: number): Staged =>
  edit(
    replica,
    applyCell(replica.view(), cell('shop', service('web', { environment: { VERSION: version } }))).edits,
    `apply ${version}`,
    at,
  )

/** A replica to which these versions of web were applied, one after the other. */
export const deployed = (...versions: readonly string[]): IntentReplica => {
  const [ada] = foundedCluster()
  assert.ok(ada)
  versions.forEach((version, index) => apply(ada, version, 100 + index))
  return ada
}

/** What one of three operators does at one moment. */
export interface Step {
  readonly who: number
  readonly what: number
  readonly value: number
  readonly from: number
}

/** Histories of three operators, who also hear from each other. */
export const steps = fc.array(
  fc.record({ who: fc.nat(2), what: fc.nat(12), value: fc.nat(5), from: fc.nat(2) }),
  {
    minLength: 5,
    maxLength: 30,
  },
)

/** What a step edits; nothing where its kind is none of an edit's. */
export const editsOf = (view: View, { what, value }: Step): readonly Edit[] => {
  const id = `shop/${value % 2 === 0 ? 'web' : 'db'}` as ServiceId
  switch (what) {
    case 0:
      return applyCell(view, cell('shop', service('web', { stopGraceMs: value }), service('db'))).edits
    case 1:
      return applyCell(view, cell('shop', service('web', { environment: { A: String(value) } }))).edits
    case 2:
      return scale(view, id, value)
    case 3:
      return removeService(view, id)
    case 4:
      return stop(view, id)
    case 5:
      return value % 2 === 0 ? cordon(view, 'bob') : uncordon(view, 'bob')
    case 6:
      return restart(view, id, `t${value}`)
    case 7:
      return putPackage(view, { ref: `api@${value}`, digest: sha256Hex(`api ${value}`), bytes: 1, files: 1 })
    case 8:
      return removePackage(view, `api@${value}`)
    case 9:
      return value === 0
        ? removeBuildDuty(view, 'main')
        : setBuildDuty(view, 'main', {
            repository: '/src',
            branch: `b${value}`,
            file: 'cell.yaml',
            everyMs: 60_000,
          })
    default:
      return []
  }
}

/** Performs a step; returns the change it made and what its author saw after it. */
export const perform = (
  replicas: readonly IntentReplica[],
  one: Step,
): { readonly hash: ChangeHash; readonly view: View } | null => {
  const replica = defined(replicas[one.who], 'a replica')
  if (one.what >= 10) {
    pull(replica, defined(replicas[one.from], 'a replica'))
    return null
  }
  try {
    const staged = replica.draft(editsOf(replica.view(), one), { message: 'step', at: one.value })
    if (staged === null) return null
    replica.commit([staged])
    return { hash: staged.hash, view: replica.view() }
  } catch (thrown) {
    assert.ok(thrown instanceof TuttiError && thrown.code === 'unknown', String(thrown))
    return null
  }
}
