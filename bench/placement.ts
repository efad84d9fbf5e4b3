// Placement in one process: what an election of a whole fleet costs, what one change costs with the memo, and how many
// slots move when a member goes, comes back, joins or is removed, against the fewest that must. Pure computation: no
// peers run, and the moves are the same on every machine and in every run.

import type { MemberId, SlotId } from '../lib/ids.ts'
import { place, PlacementMemo } from '../node/plan/placement.ts'
import type { SlotPlacement } from '../node/plan/plan.ts'
import { fleet, idOf, numbered, service, without, type MemberOptions } from '../test/node/plan/fleet.ts'
import { print, summarize, type Row } from './support.ts'

type Placements = ReadonlyMap<SlotId, SlotPlacement>
type Members = Readonly<Record<string, MemberOptions>>

/** Odd, so that the median is a run. */
const RUNS = 7
/** Members that go, and that join, one at a time, in each fleet: all of a small one, a sample of a large one. */
const TRIES = 10
/** Of one machine: where replicas are about as many as members a perfect fit leaves least freedom. */
const FLEETS = [
  [1000, 1000, 10],
  [1000, 10, 1000],
  [200, 200, 10],
  [30, 100, 3],
  [10, 60, 3],
  [5, 40, 3],
  [3, 40, 2],
  [3, 40, 3],
  [5, 40, 5],
  [30, 30, 30],
  [10, 20, 10],
] as const

const servicesOf = (count: number, replicas: number) =>
  Array.from({ length: count }, (_, at) => service(`c${at % 3}/s${at}`, { replicas }))

const timed = (what: () => unknown): number => {
  const from = performance.now()
  what()
  return performance.now() - from
}

const timesOf = (count: number, services: number, replicas: number): readonly Row[] => {
  const specs = servicesOf(services, replicas)
  const members = numbered(count)
  const everybody = fleet({ members, services: specs })
  const full = Array.from({ length: RUNS }, () => timed(() => place(everybody)))
  const after = (changed: Members, changedSpecs = specs): number[] =>
    Array.from({ length: RUNS }, () => {
      const memo = new PlacementMemo()
      place(everybody, memo)
      const input = fleet({ members: changed, services: changedSpecs })
      return timed(() => place(input, memo))
    })
  const scaled = [...specs.slice(1), service('c0/s0', { replicas: replicas + 1 })]
  const row = (what: string, samples: readonly number[], aim = ''): Row => ({
    what: `${services} services x ${replicas} on ${count} members: ${what}`,
    unit: 'ms',
    aim,
    figures: summarize(samples),
  })
  return [
    row('full election', full, 'p50 < 300'),
    row('after one loss', after({ ...members, m7: { state: 'left' } })),
    row('after 100 losses', after(numbered(count, (at) => (at % 10 === 7 ? { state: 'left' } : {})))),
    row('after one join', after({ ...members, n0: {} })),
    row('after one scaling', after(members, scaled)),
  ]
}

/** Moves and the fewest that must happen, over several changes. */
class Moves {
  #moved = 0
  #least = 0

  add(before: Placements, after: Placements, least: number): void {
    for (const { slot, member } of before.values()) if (after.get(slot)?.member !== member) this.#moved += 1
    this.#least += least
  }

  row(what: string, aim: string): Row {
    return {
      what: `${what}: ${this.#moved} moves, ${this.#least} needed`,
      unit: 'x',
      aim,
      figures: this.#moved / Math.max(this.#least, 1),
    }
  }
}

const holdsOf = (placements: Placements, holder: MemberId): number =>
  [...placements.values()].filter(({ member }) => member === holder).length

const movesOf = (count: number, services: number, replicas: number): readonly Row[] => {
  const specs = servicesOf(services, replicas)
  const members = numbered(count)
  const memo = new PlacementMemo()
  const at = (changed: Members): Placements => place(fleet({ members: changed, services: specs }), memo)
  const before = at(members)
  const loss = new Moves()
  const back = new Moves()
  const second = new Moves()
  const join = new Moves()
  const removal = new Moves()
  const tries = Math.min(count, TRIES)
  const step = Math.floor(count / tries)
  for (let turn = 0; turn < tries; turn += 1) {
    const name = `m${turn * step}`
    const least = holdsOf(before, idOf(name))
    const lost = at({ ...members, [name]: { state: 'left' } })
    loss.add(before, lost, least)
    back.add(lost, at(members), least)
    const other = `m${(turn * step + 1) % count}`
    const both = at({ ...members, [name]: { state: 'left' }, [other]: { state: 'left' } })
    if (count > 2) second.add(lost, both, holdsOf(lost, idOf(other)))
    removal.add(before, at(without(members, name)), least)
    const joined = at({ ...members, [`n${turn}`]: {} })
    join.add(before, joined, holdsOf(joined, idOf(`n${turn}`)))
  }
  const label = `${count} members, ${services} x ${replicas}`
  return [
    loss.row(`${label}: loss or drain`, '<= 1.10'),
    back.row(`${label}: return`, '<= 1.10'),
    second.row(`${label}: loss of a second`, '<= 1.10'),
    join.row(`${label}: join`, '<= 1.10'),
    removal.row(`${label}: removal`, '<= 1.10'),
  ]
}

print(
  'placement',
  [
    ...timesOf(1000, 1000, 10),
    ...FLEETS.flatMap(([count, services, replicas]) => movesOf(count, services, replicas)),
  ],
  [
    'a loss and a drain are the same to placement; a removal is of a member that holds its slots until then',
    `moves: sums over up to ${TRIES} members of each fleet, one at a time`,
  ],
)
