// Who can read an edit: while peers are upgraded one after another, a field that an older one does not know would be an
// invalid change for it, and it would stand still with the document of that moment. So the peer that is asked for such an
// edit refuses it until everybody can read it. It goes by what members last said of themselves; one that said nothing yet
// hinders nobody.

import type { Edit } from '../../crdt/edit.ts'
import { demandOf, FIRST_FORMAT } from '../../crdt/schema/format.ts'
import type { MemberStatus } from '../../crdt/schema/status.ts'
import type { View } from '../../crdt/schema/view.ts'
import { TuttiError } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'

/** @throws TuttiError `unsupported` when a member of the view runs a version that cannot read one of the edits. */
export const checkReaders = (
  edits: readonly Edit[],
  view: View,
  statuses: ReadonlyMap<MemberId, MemberStatus>,
): void => {
  const demands = edits.flatMap((edit) => demandOf(edit) ?? [])
  if (demands.length === 0) return
  for (const { id, name } of view.members) {
    const status = statuses.get(id)
    if (status === undefined || status.facts === null) continue
    const reads = status.formats?.document ?? FIRST_FORMAT
    const lacking = demands.find(({ format }) => format > reads)
    if (lacking !== undefined)
      throw new TuttiError(
        'unsupported',
        `${name} runs an older tutti, which cannot read '${lacking.field}'; upgrade it first, or remove it with tutti peers rm ${name}`,
      )
  }
}
