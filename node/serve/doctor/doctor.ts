// Examinations of this peer and of the whole cluster: gathers facts here, asks every other member for its own, measures
// their clocks, and has node/doctor judge it all. Answers the same questions of others. One examination at a time: who
// asks meanwhile gets the same one.

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { FORMAT_VERSION } from '../../../crdt/log/format.ts'
import { utf8 } from '../../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../../lib/errors.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { canonicalJson } from '../../../lib/order.ts'
import type { MachineFacts, MemberAnswer, MemberFacts } from '../../doctor/facts.ts'
import { judgeCluster, linkOf } from '../../doctor/judge-cluster.ts'
import { judgeMachine, judgePeer } from '../../doctor/judge-machine.ts'
import { judgeVoters, type VoterFacts } from '../../doctor/judge-voters.ts'
import { isPresent } from '../../plan/eligibility.ts'
import { PLACEMENT_VERSION } from '../../plan/placement-version.ts'
import type { AgentPort } from '../../ports.ts'
import { MemberAnswerShape, type DoctorReply, type LinkReply } from '../api/contract-doctor.ts'
import { LIVE } from '../fan-in.ts'
import { questionOf } from '../gathering.ts'
import { fromParts, toParts } from '../lines.ts'
import { votersStanding } from '../replies/leases.ts'
import { asOf, type Reading, type ReadMember } from '../replies/reading.ts'
import { reachOthers } from './reach.ts'

/** What only the shell around the peer can find out; node/main.ts gives it. */
export interface Examiner {
  examine(): Promise<MachineFacts>
  /** Why a TCP connection cannot be made; null: it can. */
  connect(host: string, port: number): Promise<string | null>
  /** Equal for peers of one machine. */
  readonly machine: string
}

export interface DoctorOptions {
  readonly agent: AgentPort
  readonly examiner: Examiner
  readonly version: string
}

const Question = Type.Union([
  Type.Object({ kind: Type.Literal('clock') }),
  Type.Object({ kind: Type.Literal('examine'), machine: Type.Boolean() }),
])
const QuestionShape = Compile(Question)
const ClockShape = Compile(Type.Object({ wall: Type.Number() }))
const AnswerShape = Compile(MemberAnswerShape)

/** An examination tries every member, for eight seconds at most, and syncs the disk a few times. */
const EXAMINE_MS = 18_000
/** A word over an open connection, or over one that is dialled for it. */
const CLOCK_MS = 4000
/** The quickest of three tells best. */
const CLOCK_SAMPLES = 3
/** Members asked at the same time. */
const ASKED_AT_ONCE_MAX = 32

type Clock = NonNullable<MemberFacts['clock']>

export class Doctor {
  readonly #options: DoctorOptions
  readonly #beganMs = performance.now()
  readonly #underWay = new Map<boolean, Promise<MemberAnswer>>()

  /** Registers what this peer answers to others' doctors: once per agent. */
  constructor(options: DoctorOptions) {
    this.#options = options
    options.agent.answer('doctor', (_from, body) => {
      const question = questionOf(body, (value) => QuestionShape.Check(value))
      return toParts(this.#answers(question.kind === 'clock' ? null : question.machine))
    })
  }

  /** The whole cluster as this peer can examine it. `all`: with every member's machine, not this one's alone. */
  async reply(reading: Reading, all: boolean): Promise<DoctorReply> {
    const members = await this.#askAll(reading, all)
    const findings = [
      ...members.flatMap(({ name, answer }) =>
        (answer?.findings ?? []).map((one) => ({ peer: name, ...one })),
      ),
      ...judgeCluster(members).map((one) => ({ peer: '', ...one })),
      ...judgeVoters(voterFacts(reading)).map((one) => ({ peer: '', ...one })),
    ]
    return {
      asOf: asOf(reading),
      healthy: findings.every(({ level }) => level !== 'fail'),
      findings,
      members: members.map(memberReply),
      links: linksOf(members),
    }
  }

  async *#answers(machine: boolean | null): AsyncGenerator<object> {
    yield machine === null ? { wall: Date.now() } : await this.#examine(machine)
  }

  #examine(machine: boolean): Promise<MemberAnswer> {
    const underWay = this.#underWay.get(machine)
    if (underWay !== undefined) return underWay
    const examination = this.#examineNow(machine).finally(() => this.#underWay.delete(machine))
    this.#underWay.set(machine, examination)
    return examination
  }

  async #examineNow(machine: boolean): Promise<MemberAnswer> {
    const { agent, examiner, version } = this.#options
    const snapshot = agent.snapshot()
    const [facts, reach] = await Promise.all([
      machine ? examiner.examine() : null,
      reachOthers(snapshot, {
        connect: (host, port) => examiner.connect(host, port),
        greet: (member) => this.#ask(member, { kind: 'clock' }, CLOCK_MS, (value) => ClockShape.Check(value)),
        now: () => performance.now(),
      }),
    ])
    return {
      version,
      node: process.versions.node,
      documentFormat: FORMAT_VERSION,
      placementVersion: PLACEMENT_VERSION,
      machine: examiner.machine,
      addresses: snapshot.statuses.get(snapshot.self)?.facts?.addresses ?? [],
      findings: facts === null ? [] : [...judgeMachine(facts), ...judgePeer(this.#peerFacts())],
      reach,
    }
  }

  #peerFacts(): Parameters<typeof judgePeer>[0] {
    const { agent } = this.#options
    const { membership, self, nowMs } = agent.snapshot()
    const { recordsQuarantined, storeFailures } = agent.counters()
    const exchangedMs = agent.lastExchangeMs()
    return {
      others: membership.members.filter(({ id, state }) => id !== self && isPresent(state)).length,
      syncedAgoMs: exchangedMs === null ? null : nowMs - exchangedMs,
      upMs: performance.now() - this.#beganMs,
      recordsQuarantined,
      storeFailures,
      braked: membership.brakedUntilMs !== null,
    }
  }

  async #askAll(reading: Reading, all: boolean): Promise<readonly MemberFacts[]> {
    const waiting = reading.members.filter(({ state }) => state !== 'left')
    const found: MemberFacts[] = []
    const lane = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        found.push(await this.#factsOf(reading, next, all))
    }
    await Promise.all(Array.from({ length: Math.min(ASKED_AT_ONCE_MAX, waiting.length) }, lane))
    const order = new Map(reading.members.map(({ view }, at) => [view.name, at]))
    return found.toSorted((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0))
  }

  async #factsOf(reading: Reading, member: ReadMember, all: boolean): Promise<MemberFacts> {
    const { view, state, sinceMs, present } = member
    const self = view.id === reading.snapshot.self
    const ageMs = Math.max(0, Math.round(reading.snapshot.nowMs - sinceMs))
    const seen = { name: view.name, self, state, ageMs }
    if (self) return { ...seen, answer: await this.#examine(true), failure: '', clock: null }
    if (!present) return { ...seen, answer: null, failure: `is ${state}`, clock: null }
    try {
      const clock = await this.#clockOf(view.id)
      const answer = await this.#ask(view.id, { kind: 'examine', machine: all }, EXAMINE_MS, (value) =>
        AnswerShape.Check(value),
      )
      return { ...seen, answer, failure: '', clock }
    } catch (thrown) {
      return { ...seen, answer: null, failure: messageOf(thrown), clock: null }
    }
  }

  /** As NTP does it: what lies within the round trip cannot be told apart (RFC 5905 §8). */
  async #clockOf(member: MemberId): Promise<Clock> {
    let best: Clock | null = null
    for (let sample = 0; sample < CLOCK_SAMPLES; sample += 1) {
      const beganMs = performance.now()
      const beganWall = Date.now()
      const { wall } = await this.#ask(member, { kind: 'clock' }, CLOCK_MS, (value) =>
        ClockShape.Check(value),
      )
      const errorMs = (performance.now() - beganMs) / 2
      if (best === null || errorMs < best.errorMs) best = { offsetMs: wall - (beganWall + errorMs), errorMs }
    }
    if (best === null) throw new TuttiError('internal', 'no clock was read')
    return best
  }

  /** Asks for one value. @throws TuttiError. */
  async #ask<T>(
    member: MemberId,
    question: { readonly kind: 'clock' } | { readonly kind: 'examine'; readonly machine: boolean },
    timeoutMs: number,
    isAnswer: (value: unknown) => value is T,
  ): Promise<T> {
    const signal = AbortSignal.timeout(timeoutMs)
    const parts = this.#options.agent.ask(member, 'doctor', utf8(canonicalJson(question)), signal)
    for await (const answer of fromParts(parts, isAnswer)) if (answer !== LIVE) return answer
    throw new TuttiError('unreachable', 'the answer was empty')
  }
}

const memberReply = ({
  name,
  self,
  state,
  ageMs,
  answer,
  failure,
  clock,
}: MemberFacts): DoctorReply['members'][number] => ({
  name,
  self,
  state,
  ageMs,
  version: answer?.version ?? '',
  node: answer?.node ?? '',
  documentFormat: answer?.documentFormat ?? 0,
  placementVersion: answer?.placementVersion ?? 0,
  machine: answer?.machine ?? '',
  addresses: [...(answer?.addresses ?? [])],
  clockOffsetMs: clock === null ? null : Math.round(clock.offsetMs),
  clockErrorMs: clock === null ? null : Math.ceil(clock.errorMs),
  failure,
})

/** Every way between two members, by the member that would take it. */
const linksOf = (members: readonly MemberFacts[]): LinkReply[] =>
  members.flatMap((from) =>
    members
      .filter((to) => to !== from)
      .map((to) => {
        const reach = from.answer?.reach.find((one) => one.to === to.name)
        return {
          from: from.name,
          to: to.name,
          state: linkOf(from, to),
          failure: reach?.failure ?? from.failure,
          tried: [...(reach?.tried ?? [])],
        }
      }),
  )

const voterFacts = (reading: Reading): VoterFacts => {
  const { voters, lacking, lost } = votersStanding(reading)
  const services = reading.snapshot.view.services.filter(({ onPartition }) => onPartition === 'quorum')
  return { services: services.map(({ id }) => id), known: voters !== null, lacking, lost }
}
