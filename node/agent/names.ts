// Members' names by their ids, for sentences. A view keeps its members by identity until they change, and so are the names
// kept with them: a peer that sees a thousand members come up says a thousand names.

import type { MemberView } from '../../crdt/schema/view.ts'

const kept = new WeakMap<readonly MemberView[], ReadonlyMap<string, string>>()

/** A member's name; its id where it is none of these. */
export const nameAmong = (members: readonly MemberView[], id: string): string => {
  let names = kept.get(members)
  if (names === undefined) {
    names = new Map(members.map((member) => [member.id, member.name]))
    kept.set(members, names)
  }
  return names.get(id) ?? id
}
