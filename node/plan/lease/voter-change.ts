// Voter changes: keeps the voters in step with the admitted operators, from one set over both to the next (Ongaro and
// Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, section 6). The successor of each epoch is
// chosen by the voters of that epoch, with Paxos; here is the proposer. Sans-IO. One peer proposes at a time, the first
// voter in sight, but nothing depends on that: ballots decide.
//
//   idle ─voters differ for a while▶ preparing ─majority▶ accepting ─majority▶ chosen: told to everybody
//              ▲──────────── refused, or not answered in time ──────────┘
//
// Invariant: at most one set of voters is ever chosen for an epoch.

import { defined } from '../../../lib/assert.ts'
import type { Accepted, Ballot, ChangeAnswer, ChangeQuestion, VoterSet } from '../../../crdt/schema/lease.ts'
import type { Random } from '../../../lib/random.ts'
import { ANSWER_MS, isQuorum, majorityOf, votersOf } from './terms.ts'
import { compareBallots } from './voter.ts'

/** Members come in bursts, and a name that is removed is often put back: voters change once it is quiet. */
const STEADY_MS = 1500
/** After a proposal that came to nothing, with as much again at random. */
const AGAIN_MS = 1000

/** What the members say about who should vote. */
export interface ChangeScene {
  readonly nowMs: number
  readonly voters: VoterSet | null
  /** The admitted operators, sorted. */
  readonly wanted: readonly string[]
  readonly inSight: ReadonlySet<string>
}

export interface ChangeEffect {
  readonly to: string
  readonly change: ChangeQuestion
}

interface Proposal {
  readonly kind: ChangeQuestion['kind']
  readonly ballot: Ballot
  readonly epoch: number
  readonly sentMs: number
  readonly agreed: Set<string>
  /** The highest vote that any of them had cast. */
  accepted: Accepted | null
  /** In the second phase: what is proposed. */
  readonly voters: VoterSet | null
}

const sameMembers = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((member, at) => member === b[at])

export class VoterChange {
  readonly #self: string
  readonly #random: Random
  #proposal: Proposal | null = null
  #round = 0
  #againAtMs = -Infinity
  #wanted: readonly string[] = []
  #wantedSinceMs = 0

  constructor(self: string, random: Random) {
    this.#self = self
    this.#random = random
  }

  tick(scene: ChangeScene): readonly ChangeEffect[] {
    const { nowMs, voters, wanted } = scene
    if (wanted !== this.#wanted) {
      if (!sameMembers(wanted, this.#wanted)) this.#wantedSinceMs = nowMs
      this.#wanted = wanted
    }
    if (this.#proposal !== null && this.#isOver(this.#proposal, scene)) this.#giveUp(nowMs)
    if (this.#proposal !== null || voters === null || nowMs < this.#againAtMs) return []
    if (!this.#isDue(scene, voters)) return []
    this.#round += 1
    const ballot = { round: this.#round, by: this.#self }
    this.#proposal = {
      kind: 'prepare',
      ballot,
      epoch: voters.epoch,
      sentMs: nowMs,
      agreed: new Set(),
      accepted: null,
      voters: null,
    }
    return askAll(scene, voters, { kind: 'prepare', epoch: voters.epoch, ballot })
  }

  /** An answer. `chosen`: the next voters, to be told to everybody. */
  receive(
    from: string,
    answer: ChangeAnswer,
    scene: ChangeScene,
  ): { readonly effects: readonly ChangeEffect[]; readonly chosen: VoterSet | null } {
    const nothing = { effects: [], chosen: null }
    const proposal = this.#proposal
    const { voters, nowMs } = scene
    if (answer.bound !== null) this.#round = Math.max(this.#round, answer.bound.round)
    if (proposal === null || voters === null || this.#isOver(proposal, scene)) return nothing
    const isOfIt = answer.kind === proposal.kind && compareBallots(answer.ballot, proposal.ballot) === 0
    if (!isOfIt || answer.epoch !== proposal.epoch) return nothing
    if (!answer.agreed) {
      this.#giveUp(nowMs)
      return nothing
    }
    proposal.agreed.add(from)
    const { accepted } = answer
    if (
      proposal.kind === 'prepare' &&
      accepted !== null &&
      (proposal.accepted === null || compareBallots(accepted.ballot, proposal.accepted.ballot) > 0)
    )
      proposal.accepted = accepted
    if (!isQuorum(voters, proposal.agreed)) return nothing
    if (proposal.kind === 'accept') {
      this.#proposal = null
      return { effects: [], chosen: defined(proposal.voters, 'what was proposed') }
    }
    const next = proposal.accepted?.voters ?? successorOf(voters, scene.wanted)
    this.#proposal = { ...proposal, kind: 'accept', sentMs: nowMs, agreed: new Set(), voters: next }
    const change = { kind: 'accept', epoch: voters.epoch, ballot: proposal.ballot, voters: next } as const
    return { effects: askAll(scene, voters, change), chosen: null }
  }

  #isDue({ nowMs, wanted, inSight }: ChangeScene, voters: VoterSet): boolean {
    const isChanging = voters.former !== null
    // Mostly they are right, and to see that is cheaper than to see who would change them.
    if (!isChanging && (wanted.length === 0 || sameMembers(voters.present, wanted))) return false
    const first = votersOf(voters).find((voter) => inSight.has(voter))
    if (first !== this.#self || !isQuorum(voters, inSight)) return false
    if (isChanging) return true
    // Voters that cannot make a majority by themselves would stop every lease.
    const here = wanted.filter((member) => inSight.has(member)).length
    return here >= majorityOf(wanted.length) && nowMs - this.#wantedSinceMs >= STEADY_MS
  }

  #isOver({ epoch, sentMs }: Proposal, { voters, nowMs }: ChangeScene): boolean {
    return voters?.epoch !== epoch || nowMs - sentMs >= ANSWER_MS
  }

  #giveUp(nowMs: number): void {
    this.#proposal = null
    this.#againAtMs = nowMs + AGAIN_MS + this.#random.below(AGAIN_MS)
  }
}

/** Over both to the next: a majority of the former and of the present ones, then of the present ones alone. */
const successorOf = ({ epoch, former, present }: VoterSet, wanted: readonly string[]): VoterSet =>
  former === null
    ? { epoch: epoch + 1, former: present, present: [...wanted] }
    : { epoch: epoch + 1, former: null, present }

const askAll = (
  { inSight }: ChangeScene,
  voters: VoterSet,
  change: ChangeQuestion,
): readonly ChangeEffect[] =>
  votersOf(voters)
    .filter((to) => inSight.has(to))
    .map((to) => ({ to, change }))
