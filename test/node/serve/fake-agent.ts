// A cluster of three in memory: a real replica of the document, statuses and membership as the test sets them, and other
// peers' answers as it scripts them.

import { IntentReplica } from '../../../crdt/replica.ts'
import { addMember, applyCell, foundingEdits } from '../../../crdt/edits.ts'
import { requireDigest, type EditCondition } from '../../../crdt/condition.ts'
import type { VoterSet } from '../../../crdt/schema/lease.ts'
import type { Edit, EditMeta } from '../../../crdt/edit.ts'
import type { ServiceSpec } from '../../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../../crdt/schema/service-defaults.ts'
import type { InstanceState, InstanceStatus, MemberStatus } from '../../../crdt/schema/status.ts'
import type { View } from '../../../crdt/schema/view.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { sha256Hex } from '../../../lib/hash.ts'
import type { ActorId, ClusterId, MemberId } from '../../../lib/ids.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import type { MemberState } from '../../../net/membership.ts'
import type {
  AgentCounters,
  AgentPort,
  AgentSnapshot,
  EditResult,
  Exec,
  ExecInput,
  ExecOutput,
  ExecRequest,
  Invitation,
  LogLine,
  LogLive,
  LogQuery,
  Output,
  PeerEvent,
  PeerMethod,
} from '../../../node/ports.ts'

type Answer = Parameters<AgentPort['answer']>[1]

const signerOf = (seat: number) => signerFromSeed(new Uint8Array(32).fill(seat + 1))
const NONCE = '00'.repeat(16)
export const WALL = 1_700_000_000_000
export const NOW_MS = 100_000

export const service = (name: string, more: Partial<ServiceSpec> = {}): ServiceSpec => ({
  ...SERVICE_DEFAULTS,
  name,
  command: ['node', `${name}.js`],
  ...more,
  uses: [...(more.uses ?? [])],
  constraints: [...(more.constraints ?? [])],
})

export class FakeAgent implements AgentPort {
  readonly ids: readonly MemberId[]
  readonly replica: IntentReplica
  readonly statuses = new Map<MemberId, MemberStatus>()
  readonly states = new Map<MemberId, MemberState>()
  readonly answers = new Map<PeerMethod, Answer>()
  readonly asked: string[] = []
  readonly metas: EditMeta[] = []
  /** What other peers answer; a throw is a peer that cannot be reached. */
  onAsk: (
    member: MemberId,
    method: PeerMethod,
    body: Uint8Array,
    signal: AbortSignal,
    input?: AsyncIterable<Uint8Array>,
  ) => AsyncIterable<Uint8Array> = () => {
    throw new TuttiError('unreachable', 'no connection')
  }
  counts: Partial<AgentCounters> = {}
  exchangedMs: number | null = null
  kept: PeerEvent[] = []
  editFailure: Error | null = null
  readonly #changeListeners = new Set<() => void>()
  readonly #eventListeners = new Set<(event: PeerEvent) => void>()

  constructor(names: readonly string[] = ['oak', 'elm', 'ash']) {
    const signers = names.map((_, seat) => signerOf(seat))
    this.ids = signers.map(({ member }) => member)
    const [founder] = signers
    if (founder === undefined) throw new Error('a cluster has a founder')
    const cluster = sha256Hex(`tutti/cluster/1/${founder.member}/${NONCE}`).slice(0, 32) as ClusterId
    this.replica = new IntentReplica({ cluster, signer: founder, actor: 'a'.repeat(32) as ActorId })
    names.forEach((name, seat) => {
      const id = this.id(seat)
      this.write(
        seat === 0
          ? foundingEdits({ member: id, nonce: NONCE, name, addresses: [] })
          : addMember(this.view, { id, name, role: 'operator', addresses: [], invite: null }),
      )
      this.states.set(id, 'alive')
    })
    names.forEach((name, seat) => this.say(seat, name, {}))
  }

  /** The document as another member has it by now, on the other side of a cut; `hear` ends that. */
  replicaOf(seat: number): IntentReplica {
    const { cluster } = this.view
    const actor = sha256Hex(`actor ${seat} ${this.replica.changesCount}`).slice(0, 32) as ActorId
    const replica = new IntentReplica({ cluster, signer: signerOf(seat), actor })
    replica.commit(replica.judge(this.replica.snapshot().records).staged)
    return replica
  }

  /** Takes what another replica has. */
  hear(replica: IntentReplica): void {
    this.replica.commit(this.replica.judge(replica.snapshot().records).staged)
    this.changed()
  }

  get past(): AgentPort['past'] {
    return this.replica.past
  }

  get view(): View {
    return this.replica.view()
  }

  id(seat: number): MemberId {
    const id = this.ids[seat]
    if (id === undefined) throw new Error(`no member ${seat}`)
    return id
  }

  /** A change of the document, at once. */
  write(edits: readonly Edit[], meta: EditMeta = { message: 'test', at: WALL }): EditResult {
    const staged = this.replica.draft(edits, meta)
    if (staged !== null) this.replica.commit([staged])
    this.changed()
    return { change: staged?.hash ?? null, digest: this.view.digest, view: this.view }
  }

  apply(cell: string, services: readonly ServiceSpec[]): void {
    this.write(applyCell(this.view, { name: cell, services: [...services] }).edits)
  }

  /** What a member says: instances by `slot`, with their state. It agrees with the view and has settled. */
  say(
    seat: number,
    name: string,
    instances: Readonly<Record<string, InstanceState | Partial<InstanceStatus>>>,
    report: Partial<NonNullable<MemberStatus['report']>> = {},
  ): void {
    const entries = Object.entries(instances).map(([slot, given]): [string, InstanceStatus] => {
      const [service] = this.view.services.filter(({ id }) => slot.startsWith(`${id}/`))
      const status: InstanceStatus = {
        slot,
        release: service?.release ?? 'gone',
        state: 'ready',
        pid: 42,
        ports: { http: 8000 },
        since: WALL - 5000,
        restarts: 0,
        reason: '',
        cpusMilli: 0,
        memoryBytes: 0,
        ...(typeof given === 'string' ? { state: given } : given),
      }
      return [`${slot}@${status.release}`, status]
    })
    this.statuses.set(this.id(seat), {
      incarnation: 1,
      facts: {
        version: '0.1.0',
        placementVersionMax: 1,
        labels: { zone: `z${seat}` },
        cpusMilli: 4000,
        memoryBytes: 2 ** 33,
        addresses: [`/ip4/127.0.0.1/tcp/${9000 + seat}`],
        host: `${name}.local`,
        startedAt: WALL - 60_000,
        running: true,
      },
      report: { digest: this.view.digest, settled: true, waiting: [], ...report },
      instances: new Map(entries),
      alerts: new Map(),
    })
    this.changed()
  }

  snapshot(): AgentSnapshot {
    return {
      self: this.id(0),
      view: this.view,
      statuses: new Map(this.statuses),
      membership: {
        members: [...this.states]
          .map(([id, state]) => ({ id, state, sinceMs: NOW_MS - 3000, silent: false }))
          .sort((a, b) => (a.id < b.id ? -1 : 1)),
        brakedUntilMs: null,
      },
      local: [],
      plan: null,
      nowMs: NOW_MS,
      wall: WALL,
    }
  }

  async edit(edits: readonly Edit[], meta: EditMeta, condition: EditCondition = {}): Promise<EditResult> {
    await Promise.resolve()
    if (this.editFailure !== null) throw this.editFailure
    requireDigest(this.view.digest, condition)
    this.metas.push(meta)
    return this.write(edits, meta)
  }

  changed(): void {
    for (const listener of this.#changeListeners) listener()
  }

  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  get listening(): number {
    return this.#changeListeners.size + this.#eventListeners.size
  }

  events(): readonly PeerEvent[] {
    return this.kept
  }

  note(event: Pick<PeerEvent, 'kind' | 'subject' | 'message'>): void {
    this.kept = [...this.kept, { seq: this.kept.length, at: WALL, peer: 'oak', ...event }]
  }

  emit(event: PeerEvent): void {
    for (const listener of this.#eventListeners) listener(event)
  }

  onEvent(listener: (event: PeerEvent) => void): () => void {
    this.#eventListeners.add(listener)
    return () => this.#eventListeners.delete(listener)
  }

  counters(): AgentCounters {
    return {
      passes: 0,
      passMsTotal: 0,
      passMsMax: 0,
      actions: 0,
      gossipIn: 0,
      gossipOut: 0,
      gossipRejected: 0,
      syncRounds: 0,
      syncDiffering: 0,
      recordsIn: 0,
      recordsQuarantined: 0,
      statusDeltasOut: 0,
      storeAppends: 0,
      storeFailures: 0,
      ...this.counts,
    }
  }

  journal(): readonly string[] {
    return []
  }

  lastExchangeMs(): number | null {
    return this.exchangedMs
  }

  ask(
    member: MemberId,
    method: PeerMethod,
    body: Uint8Array,
    signal: AbortSignal,
    input?: AsyncIterable<Uint8Array>,
  ): AsyncIterable<Uint8Array> {
    this.asked.push(`${method} ${member}`)
    return this.onAsk(member, method, body, signal, input)
  }

  answer(method: PeerMethod, answer: Answer): void {
    if (this.answers.has(method)) throw new Error(`${method} is answered twice`)
    this.answers.set(method, answer)
  }

  replaceVoters(): Promise<VoterSet> {
    return Promise.resolve({ epoch: 1000, former: null, present: this.view.members.map(({ id }) => id) })
  }

  invite(options: { readonly expiresMs: number; readonly uses: number }): Promise<Invitation> {
    return Promise.resolve({
      ticket: 'tutti1-abc',
      token: 'tutti1-a',
      addresses: ['/ip4/127.0.0.1/tcp/1'],
      expiresAt: WALL + options.expiresMs,
      uses: options.uses,
    })
  }
}

/** Output from memory: what was written, then, when followed, what is pushed. */
export class FakeOutput implements Output {
  lines: LogLine[] = []
  readonly queries: LogQuery[] = []
  open = 0
  #wakes = new Set<() => void>()

  push(line: LogLine): void {
    this.lines.push(line)
    for (const wake of this.#wakes) wake()
  }

  async *read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine | LogLive> {
    this.queries.push(query)
    this.open += 1
    const present = this.lines.filter(({ slot }) => slot === query.of || slot.startsWith(`${query.of}/`))
    let at = this.lines.length
    let wake: () => void = () => undefined
    const woken = (): void => wake()
    signal.addEventListener('abort', woken)
    this.#wakes.add(woken)
    try {
      yield* query.tail === undefined ? present : query.tail === 0 ? [] : present.slice(-query.tail)
      if (query.follow === true) yield { live: true }
      while (query.follow === true && !signal.aborted) {
        const line = this.lines[at]
        if (line === undefined) await new Promise<void>((resolve) => (wake = resolve))
        else {
          at += 1
          yield line
        }
      }
    } finally {
      this.#wakes.delete(woken)
      this.open -= 1
    }
  }
}

export const logLine = (at: number, peer: string, text: string, slot = 'shop/web/0'): LogLine => ({
  at,
  peer,
  slot: slot as LogLine['slot'],
  instance: `${slot}@r` as LogLine['instance'],
  stream: 'stdout',
  text,
  offset: at,
})

/** What goes along with a question that brings nothing. */
export async function* noInput(): AsyncGenerator<Uint8Array> {
  // Nothing.
}

/** Runs nothing: each command is answered by the test. */
export class FakeExec implements Exec {
  readonly asked: ExecRequest[] = []
  answer: Exec['run'] = async function* () {
    yield { kind: 'exit', code: 0, signal: null }
  }

  run(request: ExecRequest, input: AsyncIterable<ExecInput>, signal: AbortSignal): AsyncIterable<ExecOutput> {
    this.asked.push(request)
    return this.answer(request, input, signal)
  }
}
