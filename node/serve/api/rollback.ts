// What a rollback goes back to: the release before the present one, or the service as it was at a moment. Finds it in the
// past and makes edits of it; what was then and is now decides, not what anybody meant.

import type { Edit } from '../../../crdt/edit.ts'
import { serviceOf } from '../../../crdt/edits.ts'
import type { Past } from '../../../crdt/past.ts'
import { releaseBefore } from '../../../crdt/past-releases.ts'
import { backToRelease, backToService } from '../../../crdt/rollback.ts'
import type { View } from '../../../crdt/schema/view.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { ServiceId } from '../../../lib/ids.ts'

/** Releases looked at for the one before: restarts in a row are passed over, and more of them nobody makes. */
const RELEASES_SEARCHED_MAX = 50
/** Of a change's hash, in a message for people: as much as tables show. */
const HASH_SHOWN = 8

export interface Rollback {
  readonly service: string
  /** A moment; left out: the release before. */
  readonly to?: string | undefined
}

/** @throws TuttiError `unknown` or `invalid` for what names nothing, `refused` where there is nothing to go back to. */
export const rollback = (view: View, past: Past, { service, to }: Rollback): readonly Edit[] => {
  const id = service as ServiceId
  const releases = past.releasesOf(id, RELEASES_SEARCHED_MAX)
  // What has no release never was; the sentence names what it may be mistyped for.
  if (releases.length === 0) serviceOf(view, id)
  const see = `tutti history ${id} lists its changes`
  if (to === undefined) {
    // What was rejected is no place to go back to.
    const { rejected = {} } = view.services.find((one) => one.id === id) ?? {}
    const before = releaseBefore(releases.filter(({ release }) => !Object.hasOwn(rejected, release)))
    if (before === null) throw new TuttiError('refused', `'${id}' has had no other release; ${see}`)
    return backToRelease(view, before.service)
  }
  const then = past.viewAt(past.moment(to)).services.find((one) => one.id === id)
  if (then === undefined) throw new TuttiError('refused', `'${id}' did not exist at '${to}'; ${see}`)
  return backToService(view, then)
}

/** `rollback shop/web to change 1a2b3c4d`: what `now~2` means today it does not mean tomorrow. */
export const rollbackWords = (past: Past, { service, to }: Rollback): string => {
  if (to === undefined) {
    const before = releaseBefore(past.releasesOf(service as ServiceId, RELEASES_SEARCHED_MAX))
    return `rollback ${service} to release ${before?.release ?? 'before'}`
  }
  const heads = past.moment(to).map((hash) => hash.slice(0, HASH_SHOWN))
  return `rollback ${service} to change ${heads.join('+')}`
}
