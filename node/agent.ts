// The agent: one peer's loop, over ports only. Events mark it dirty; a pass observes, views, plans, checks, acts and
// reports. Passes are coalesced, so a hundred events cost one, and a pass with nothing to do writes nothing. This very
// file runs in the simulator. Deliberately absent: decisions (node/plan, crdt, net) and doing (the ports).

import type { Edit } from '../crdt/edit.ts'
import { foundingEdits } from '../crdt/edits.ts'
import type { View } from '../crdt/schema/view.ts'
import { STATUS_KEYS } from '../crdt/status-decode.ts'
import type { StatusNews } from '../crdt/status-news.ts'
import { defined } from '../lib/assert.ts'
import type { ChangeHash, MemberId } from '../lib/ids.ts'
import type { Json } from '../lib/order.ts'
import { Dialler } from '../net/dialler.ts'
import { FailureDetector } from '../net/failure-detector.ts'
import type { TransportEvents } from '../net/transport.ts'
import { Chronicle } from './agent/chronicle.ts'
import { Counters } from './agent/counters.ts'
import { Duties } from './agent/duties.ts'
import { EventRing } from './agent/event-ring.ts'
import { Introduction } from './agent/introduction.ts'
import { Journal } from './agent/journal.ts'
import { journalLines } from './agent/journal-text.ts'
import { Invitations } from './agent/invitations.ts'
import { Leases } from './agent/leases.ts'
import { nameAmong } from './agent/names.ts'
import { Neighbourhood } from './agent/neighbourhood.ts'
import type { AgentOptions } from './agent/options.ts'
import { packageKeeperOf, type PackageKeeper } from './agent/packages/keeper.ts'
import { PassLoop } from './agent/pass-loop.ts'
import { Questions } from './agent/questions.ts'
import { checkReaders } from './agent/readers.ts'
import { Replication } from './agent/replication.ts'
import { Reporter } from './agent/reporter.ts'
import { Wake } from './agent/wake.ts'
import { Watchers } from './agent/watchers.ts'
import { checkPlan } from './plan/check-plan.ts'
import { adoptedWishes } from './plan/exclusive.ts'
import { makePlan } from './plan/make-plan.ts'
import { PlanMemo } from './plan/plan-memo.ts'
import type { Plan, PlanInput } from './plan/plan.ts'
import type { AgentCounters, AgentPort, AgentSnapshot, PeerEvent } from './ports.ts'

/** Bounds of the wait for what is due next: no busy loop, and a look now and then. */
const TICK_MIN_MS = 5
const TICK_MAX_MS = 1500
/**
 * A peer that nobody answers acts on what its disk says after this long; until then it only keeps what runs, since its
 * document may be a month old and a deploy that everybody else has undone.
 */
const CATCH_UP_MAX_MS = 3000

export class Agent implements AgentPort {
  readonly #options: AgentOptions
  readonly #counters: Counters
  readonly #events: EventRing
  readonly #chronicle: Chronicle
  readonly #questions: Questions
  readonly #watchers: Watchers
  readonly #wake: Wake
  readonly #leases: Leases
  readonly #passes: PassLoop
  readonly #replication: Replication
  readonly #neighbourhood: Neighbourhood
  readonly #invitations: Invitations
  readonly #reporter: Reporter
  readonly #introduction: Introduction
  readonly packages: PackageKeeper | null
  readonly #memo = new PlanMemo()
  readonly #journal: Journal
  readonly #duties: Duties
  #plan: Plan | null = null
  #caughtUp: (() => void)[] | null = []
  #startedMs = 0
  #storageTrouble: string | null = null

  private constructor(options: AgentOptions, replication: Replication, leases: Leases, counters: Counters) {
    const { clock, transport, random, signer, cluster, newSeed } = options
    this.#options = options
    this.#journal = new Journal(options.journalBytesMax)
    this.#events = new EventRing({ wall: () => clock.wall(), peer: () => this.#name() })
    this.#chronicle = new Chronicle(this.#events, options.log, (member) => this.#nameOf(member))
    const members = (): number => replication.view().members.length
    const took = (ms: number): void => counters.pass(ms)
    this.#passes = new PassLoop(clock, () => this.#pass(), members, took)
    this.#replication = replication
    this.#leases = leases
    this.#counters = counters
    this.#reporter = new Reporter({
      wall: () => clock.wall(),
      say: (key, value) => this.#replication.say(key, value, false),
      flush: () => this.#replication.flush(),
      unfulfilledBefore: replication.unfulfilledBefore,
    })
    this.#duties = new Duties({ ...options, agent: this, changed: () => this.#passes.dirty('now') })
    this.#introduction = new Introduction({
      ...options,
      say: (key, value, urgent) => this.#replication.say(key, value, urgent),
    })
    this.#neighbourhood = new Neighbourhood({
      transport,
      clock,
      detector: new FailureDetector(signer.member),
      dialler: new Dialler(signer.member, random),
      bootstrap: options.bootstrap,
      coreWaitMs: options.coreWaitMs ?? (() => 0),
      setAlert: (member, alert) => this.#replication.say(STATUS_KEYS.alert(member), alert, false),
      tellAlerts: () => this.#replication.flush(),
      refute: (above) => this.#replication.refute(above),
      changed: () => this.#changed(),
    })
    this.#wake = new Wake({
      clock,
      minMs: TICK_MIN_MS,
      maxMs: TICK_MAX_MS,
      dueMs: () => Math.min(this.#replication.nextTickMs, this.#leases.nextTickMs),
      act: () => this.#tick(),
    })
    this.#watchers = new Watchers({
      clock,
      events: this.#events,
      follow: () => this.#follow(),
      snapshot: () => this.snapshot(),
      afterwards: (snapshot) => options.afterPass?.(snapshot),
    })
    this.#questions = new Questions({
      transport,
      addressesOf: (member) => this.#neighbourhood.addressesOf(member),
    })
    this.#questions.answer('lease', (from, body) => leases.answer(from, body))
    this.packages = packageKeeperOf(options, {
      ask: this.ask,
      answer: this.answer,
      replication,
      neighbourhood: this.#neighbourhood,
      changed: () => this.#passes.dirty(),
      note: (event) => this.note(event),
    })
    this.#invitations = new Invitations({
      cluster,
      clock,
      newSeed,
      view: () => this.#replication.view(),
      edit: (edits, meta) => this.edit(edits, meta),
      addresses: () => transport.addresses(),
      members: () => this.#neighbourhood.known(),
      refresh: () => this.#follow(),
    })
  }

  /** Loads the document from the store; nothing runs yet. */
  static async create(options: AgentOptions): Promise<Agent> {
    let agent: Agent | null = null
    const counters = new Counters()
    // The replication reports to an agent that needs it to exist; nothing is reported before it does.
    const tell = (what: (agent: Agent) => void): void => {
      if (agent !== null) what(agent)
    }
    const replication = await Replication.load({
      ...options,
      counters,
      changed: () => tell((it) => it.#changed()),
      heard: (news) => tell((it) => it.#heard(news)),
      durable: () => tell((it) => it.#reporter.durable()),
      applied: (staged) => tell((it) => it.#chronicle.applied(staged)),
      quarantined: (from, reason) => tell((it) => it.#chronicle.quarantined(from, reason)),
      storage: (trouble) => tell((it) => it.#storage(trouble)),
      inSync: () => tell((it) => it.#inSync()),
    })
    const leases = await Leases.load({
      ...options,
      self: options.signer.member,
      files: options.promises,
      random: options.random.fork('leases'),
      ask: (member, body, signal) => defined(agent, 'the agent').ask(member, 'lease', body, signal),
      changed: () => tell((it) => it.#passes.dirty()),
      due: () => tell((it) => it.#wake.arm()),
      renewed: (slot, lease) => options.hands.extend(slot, lease),
    })
    agent = new Agent(options, replication, leases, counters)
    return agent
  }

  /** Connects, founds the cluster where there is none yet, adopts what ran before, and begins to act. */
  async start(): Promise<void> {
    const { transport, hands, clock, founding, signer } = this.#options
    this.#startedMs = clock.now()
    await this.packages?.start()
    await hands.start({ changed: (urgent) => this.#passes.dirty(urgent ? 'now' : 'soon') })
    await transport.start(this.#transportEvents())
    if (founding !== null && this.#replication.view().members.length === 0) {
      const founder = { ...founding, member: signer.member, addresses: transport.addresses() }
      await this.#leases.found()
      await this.edit(foundingEdits(founder), { message: 'found the cluster', at: clock.wall() })
    }
    this.#introduction.begin(transport.addresses())
    this.#follow()
    if (this.#replication.view().members.length === 1) this.#inSync()
    this.#leases.want(adoptedWishes(hands.observe()))
    this.#wake.arm()
    this.#passes.dirty()
  }

  /** Resolves when this peer holds what the others hold, or has found that nobody answers. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#caughtUp === null) resolve()
      else this.#caughtUp.push(resolve)
    })
  }

  /** Lets go: instances run on, the document stays on the disk. */
  async stop(): Promise<void> {
    this.#passes.stop()
    this.#wake.stop()
    this.#watchers.stop()
    this.#neighbourhood.stop()
    this.#leases.stop()
    this.packages?.stop()
    await this.#options.hands.close()
    await this.#replication.stop()
    await this.#options.transport.stop()
    await this.#options.store.close()
  }

  snapshot(): AgentSnapshot {
    const { clock, hands, signer } = this.#options
    return {
      self: signer.member,
      view: this.#replication.view(),
      statuses: this.#replication.statuses(),
      membership: this.#neighbourhood.membership(),
      local: hands.observe(),
      leases: this.#leases.standings(),
      promises: this.#leases.promises(),
      voters: this.#leases.voters,
      shortages: this.packages?.shortages() ?? [],
      plan: this.#plan,
      nowMs: clock.now(),
      wall: clock.wall(),
    }
  }

  /** The intent as this peer has it. */
  view(): View {
    return this.#replication.view()
  }

  get past(): AgentPort['past'] {
    return this.#replication.past
  }

  /** Whether that change is in the document here. */
  holds(change: ChangeHash): boolean {
    return this.#replication.holds(change)
  }

  /** Sets an entry of this peer's status, for shells that have something to say of themselves; null: nothing any more. */
  say(key: string, value: Json): void {
    this.#replication.say(key, value, false)
  }

  /** Equal exactly when two peers hold the same changes. */
  headsDigest(): string {
    return this.#replication.headsDigest()
  }

  /** Multiaddrs on which this peer is reached. */
  addresses(): readonly string[] {
    return this.#options.transport.addresses()
  }

  readonly edit: AgentPort['edit'] = async (edits, ...rest) => {
    checkReaders(edits, this.#replication.view(), this.#replication.statuses())
    // Somebody waits, and nothing else is on its way.
    return await this.#replication.edit(edits, ...rest).finally(() => this.#passes.dirty('now'))
  }

  preview(edits: readonly Edit[]): View {
    checkReaders(edits, this.#replication.view(), this.#replication.statuses())
    return this.#replication.preview(edits)
  }

  onChange(listener: () => void): () => void {
    return this.#watchers.add(listener)
  }

  events(): readonly PeerEvent[] {
    return this.#events.all()
  }

  onEvent(listener: (event: PeerEvent) => void): () => void {
    return this.#events.follow(listener)
  }

  note(event: Pick<PeerEvent, 'kind' | 'subject' | 'message'>): void {
    this.#events.add(event)
  }

  counters(): AgentCounters {
    const { rounds, differing } = this.#replication.syncCounts
    return { ...this.#counters.read(), syncRounds: rounds, syncDiffering: differing }
  }

  journal(): readonly string[] {
    const { signer, clock, facts } = this.#options
    return journalLines({ ...facts, self: signer.member, at: clock.wall() }, this.#journal.entries())
  }

  lastExchangeMs(): number | null {
    return this.#replication.lastExchangeMs
  }

  readonly ask: AgentPort['ask'] = (...question) => this.#questions.ask(...question)

  readonly answer: AgentPort['answer'] = (method, handler) => this.#questions.answer(method, handler)

  readonly replaceVoters: AgentPort['replaceVoters'] = () => this.#leases.replaceVoters()

  readonly invite: AgentPort['invite'] = (options) => this.#invitations.invite(options)

  #transportEvents(): TransportEvents {
    return {
      connected: (member) => {
        this.#neighbourhood.connected(member)
        this.#replication.connected(member)
        this.#wake.arm()
      },
      disconnected: (member, silent) => {
        this.#neighbourhood.disconnected(member, silent)
        this.#replication.disconnected(member)
      },
      message: (from, channel, bytes) => {
        if (channel === 'beat') this.#neighbourhood.beat(from, bytes)
        else {
          this.#replication.message(from, bytes)
          this.#wake.arm()
        }
      },
      gossip: (from, bytes) => this.#replication.gossip(from, bytes),
      request: this.#questions.asked,
      join: (invite, body) => this.#invitations.join(invite, body),
    }
  }

  #tick(): void {
    this.#replication.tick()
    this.#introduction.tick()
    this.#leases.follow(this.#replication.view(), this.#neighbourhood.membership())
    this.#leases.tick()
    if (this.#caughtUp !== null && this.#options.clock.now() - this.#startedMs > CATCH_UP_MAX_MS)
      this.#inSync()
  }

  /** One turn of observe, view, plan, check, act; then, in a turn of its own, report. Returns when time makes the next due. */
  *#pass(): Generator<void, number | null> {
    const { hands, clock, signer, log } = this.#options
    if (this.#caughtUp !== null) return null
    const input: PlanInput = {
      self: signer.member,
      view: this.#replication.view(),
      statuses: this.#replication.statuses(),
      membership: this.#neighbourhood.membership(),
      local: hands.observe(),
      nowMs: clock.now(),
      unreadySinceMs: this.#plan?.unreadySinceMs ?? new Map(),
      rollouts: this.#plan?.rollouts ?? new Map(),
      outcomes: this.#duties.outcomes(),
      leases: this.#leases.standings(),
      ...(this.packages === null ? {} : { packages: this.packages.states() }),
    }
    const plan = makePlan(input, this.#memo)
    this.#journal.note({ input, plan, wall: clock.wall() })
    const violations = checkPlan(input, plan)
    if (violations.length > 0) {
      // A plan that breaks an invariant is a bug; not acting on it is the only safe answer, and it must be loud.
      log.log('error', 'refused to act on a plan', { violations })
      this.#events.add({
        kind: 'peer',
        subject: this.#name(),
        message: `refused to act on a plan: ${violations[0] ?? ''}`,
      })
    } else {
      hands.execute(plan.actions)
      this.#duties.perform(plan.stewardship?.duties ?? [])
    }
    this.#plan = plan
    this.#leases.follow(input.view, input.membership)
    // After the hands: what is given back is nothing that they are yet to begin.
    if (violations.length === 0) this.#leases.want(plan.leases ?? [])
    this.packages?.follow(plan.packages ?? [])
    this.#counters.add('actions', plan.actions.length)
    yield
    const trouble = violations[0] ?? this.#storageTrouble
    this.#reporter.report(input, plan, this.#replication.isDurable, trouble === null ? [] : [trouble])
    for (const action of plan.actions)
      log.log('debug', 'action', { action: action.kind, instance: action.instance, reason: action.reason })
    this.#watchers.changed()
    return plan.wakeAtMs
  }

  /** The document or the membership changed. */
  #changed(): void {
    this.#passes.dirty()
    // A pass ends with telling everyone, and it may rest before it begins; who accuses whom cannot wait for that.
    this.#watchers.follow()
    if (this.#caughtUp !== null) this.#watchers.reported()
  }

  /** A plan goes by how far others are where it waits for that, and by their alerts only as the membership has them. */
  #heard(news: StatusNews): void {
    const matters = news === 'more' || this.#plan?.awaitsReports !== false
    if (matters) this.#passes.dirty('heard')
    // Who accuses whom cannot wait for a pass.
    if (matters || news !== 'report') this.#watchers.follow()
    if (!matters || this.#caughtUp !== null) this.#watchers.reported()
  }

  #follow(): void {
    this.#neighbourhood.update(this.#replication)
  }

  #storage(trouble: string | null): void {
    if (trouble === this.#storageTrouble) return
    this.#storageTrouble = trouble
    this.#events.add({
      kind: 'peer',
      subject: this.#name(),
      message: trouble ?? 'the disk takes writes again',
    })
    this.#passes.dirty()
  }

  #inSync(): void {
    if (this.#caughtUp === null) return
    const waiting = this.#caughtUp
    this.#caughtUp = null
    for (const resolve of waiting) resolve()
    this.#passes.dirty()
  }

  #name(): string {
    return this.#nameOf(this.#options.signer.member)
  }

  #nameOf(id: MemberId): string {
    return nameAmong(this.#replication.view().members, id)
  }
}
