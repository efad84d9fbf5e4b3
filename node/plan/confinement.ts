// Confinement as an eligibility: whether a member can give an instance the user and the isolation that its service asks
// for. Judged from what members say of themselves. Deliberately absent: whether a user exists there, which only the member
// can find out and says when it refuses the start.

import type { ConfinementFacts } from '../../crdt/schema/status.ts'
import type { ServiceView } from '../../crdt/schema/view.ts'

/** What of a service asks for confinement. */
export type ConfinementDemand = Pick<ServiceView, 'user' | 'isolation'>

/** Equal for services that ask for the same; empty for those that ask for nothing. */
export const demandKey = ({ user, isolation }: ConfinementDemand): string =>
  user === null && isolation === 'none' ? '' : `${isolation} ${user ?? ''}`

/** Why a member cannot confine an instance so, in words that follow its name; null: it can, or has not said. */
export const confinementLack = (
  { user, isolation }: ConfinementDemand,
  facts: ConfinementFacts | null,
): string | null => {
  if (facts === null) return null
  if (isolation === 'sandbox' && facts.sandboxLack !== '') return `cannot isolate: ${facts.sandboxLack}`
  if (user === null || facts.userLack === '' || facts.ownUsers.includes(user)) return null
  return `cannot change to user ${user}: ${facts.userLack}`
}
