// Hindrances: why a member cannot hold a slot, or why the election would rather not, in words that follow the member's
// name; and for a slot that nobody can hold the one sentence that sums the fleet up.

import { compareStrings } from '../../lib/order.ts'
import { formatSize } from '../../lib/time.ts'
import type { Election } from './election.ts'
import { labelOf, type Electorate } from './electorate.ts'
import type { Race } from './race.ts'

/** What kind of rule stands in the way: `change` suggestions are made from it. */
export type HindranceKind = 'out' | 'keeps' | 'constraint' | 'confinement' | 'room' | 'per-node'

export interface Hindrance {
  readonly kind: HindranceKind
  readonly reason: string
}

/**
 * Why a member cannot hold the slot; empty: it can. All hard rules are named, not only the first. `electorate` says who
 * stands now: in the first stage of an election everybody does.
 */
export const hindrancesOf = (
  election: Election,
  race: Race,
  at: number,
  electorate: Electorate = election.electorate,
): readonly Hindrance[] => {
  const member = electorate.members[at]
  if (member === undefined) return []
  const found: Hindrance[] = []
  const standing = electorate.standing(member, race.service)
  if (standing.kind === 'out') return [{ kind: 'out', reason: standing.reason }]
  if (standing.kind === 'keeps' && !member.held.has(race.slot)) {
    found.push({ kind: 'keeps', reason: standing.reason })
  }
  const refusal = race.pool.refusal(member)
  if (refusal !== null) found.push({ kind: 'constraint', reason: refusal })
  const lack = race.pool.lack(member)
  if (lack !== null) found.push({ kind: 'confinement', reason: lack })
  if (!election.fits(race, at)) found.push({ kind: 'room', reason: roomReason(election, race, at) })
  const perNode = race.service.replicasPerNodeMax
  if (perNode !== null && (election.mine[at] ?? 0) >= perNode) {
    found.push({ kind: 'per-node', reason: `holds ${perNode} of this service already, the most per node` })
  }
  return found
}

const roomReason = (election: Election, race: Race, at: number): string => {
  const member = election.electorate.members[at]
  const { reservedCpusMilli: cpus, reservedMemoryBytes: memory } = race.service
  const cpusFree = (member?.cpusMilli ?? 0) - (election.cpus[at] ?? 0)
  const memoryFree = (member?.memoryBytes ?? 0) - (election.memory[at] ?? 0)
  if (memory > memoryFree) {
    return `needs ${formatSize(memory)}, ${formatSize(Math.max(memoryFree, 0))} of ${formatSize(member?.memoryBytes ?? 0)} is free`
  }
  return `needs ${cpusText(cpus)}, ${cpusText(Math.max(cpusFree, 0))} of ${cpusText(member?.cpusMilli ?? 0)} is free`
}

export const cpusText = (milli: number): string => `${milli / 1000} cpu${milli === 1000 ? '' : 's'}`

/** Which soft rules speak against a member that could hold the slot. */
export const reservationsOf = (election: Election, race: Race, at: number): readonly string[] => {
  const { electorate } = election
  const found: string[] = []
  if (race.service.mode === 'global') return found
  const { spread } = race.service
  if (race.groups !== null && spread !== null && election.groupLoad(race, at) >= race.groupShare) {
    const value = labelOf(electorate.members[at], spread.slice('node.labels.'.length))
    const where = value === '' ? `members without ${spread}` : `${spread} ${value}`
    found.push(`${where} already has its share of this service (${race.groupShare})`)
  }
  const mine = election.mine[at] ?? 0
  if (mine >= race.memberShare) found.push(`holds ${mine} of this service already, others fewer`)
  const bound = electorate.bounds[at] ?? 0
  if ((election.loads[at] ?? 0) >= bound) found.push(`has its share of all slots already (${bound})`)
  return found
}

/** Members named in one summary before the rest is only counted. */
const NAMED_MAX = 4

/** One sentence for a slot that nobody can hold: `nobody can hold it: oak is draining; elm needs 512M, …`. */
export const hindranceOf = (election: Election, race: Race): string => {
  const { members } = election.electorate
  const sentences: string[] = []
  let constrained = 0
  members.forEach((member, at) => {
    const [first] = hindrancesOf(election, race, at)
    if (first === undefined) return
    if (first.kind === 'constraint') constrained += 1
    sentences.push(`${member.name} ${verb(first.reason)}`)
  })
  if (members.length === 0) return 'nobody can hold it: the cluster has no members'
  if (constrained === members.length && members.length > NAMED_MAX) {
    return `nobody can hold it: no member meets the constraints ${race.service.constraints.join(', ')}`
  }
  const named = sentences.toSorted(compareStrings).slice(0, NAMED_MAX)
  const more = sentences.length - named.length
  return `nobody can hold it: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}

/** `needs …` and `node.labels …` read as sentences of their own after a name with a colon. */
const verb = (reason: string): string => (reason.startsWith('node.') ? `(${reason})` : reason)
