// The keeper of packages: what this peer runs from is fetched and unpacked before it is started, what others ask for is served,
// and the store is told what must stay. After each pass it hears what is wanted; it makes a pass due when something arrived. Says
// in the status which packages are here and which are on their way, by which the others know whom to ask.
//
//   wanted ─▶ fetching ─▶ held ─▶ unpacking ─▶ ready        a damaged chunk: held ─▶ fetching
//
// Deliberately absent: when anything starts (node/plan), how chunks are chosen (net/fetch.ts), the disk (the store).

import { asTuttiError, messageOf, TuttiError } from '../../../lib/errors.ts'
import type { ChunkDigest, MemberId, PackageDigest } from '../../../lib/ids.ts'
import type { Log } from '../../../lib/log.ts'
import { compareStrings, type Json } from '../../../lib/order.ts'
import type { Random } from '../../../lib/random.ts'
import type { Clock } from '../../../lib/time.ts'
import { PACKAGES_SAID_MAX, packageMark, type MemberStatus } from '../../../crdt/schema/status.ts'
import { STATUS_KEYS } from '../../../crdt/status-decode.ts'
import type { View } from '../../../crdt/schema/view.ts'
import type { Membership } from '../../../net/membership.ts'
import { chunksOf, type Manifest } from '../../package/manifest.ts'
import type { PackageCounters, Packages, PackageState, PackageStore } from '../../package/store.ts'
import { isPresent } from '../../plan/eligibility.ts'
import type { PackageShortage } from '../../plan/package-copies.ts'
import type { AgentPort } from '../../ports.ts'
import { CopyWatch } from './copies.ts'
import { PackageFetch, type Sources } from './fetch.ts'
import { manifestFromAny } from './manifest.ts'
import { isSameState, packageState } from './state.ts'
import { usesAfter } from './uses.ts'
import { secureCopies } from './secure.ts'
import { answerPackages } from './serving.ts'
import { decodePackageQuestion } from './wire.ts'

/** Packages fetched at once: a deploy is one or two, and more would share the same links. */
const FETCHES_MAX = 2
/** Copies that others may have asked for at once. */
const COPIES_MAX = 16
/** After a failure (no room, a full disk) it is tried again: often, since whoever frees space waits for it. */
const RETRY_MS = 5000
/** Old packages, and trees that nothing runs from, are looked for this often. */
const TIDY_MS = 60_000
/** While a copy is fetched for somebody, a word to it this often. */
const COPY_WORD_MS = 1000
/** The number of copies in the cluster is looked at this often: cheap, and what is missing is waited for much longer. */
const COPIES_LOOK_MS = 5000

export interface PackageKeeperOptions {
  readonly self: MemberId
  readonly store: PackageStore
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly ask: AgentPort['ask']
  readonly answer: AgentPort['answer']
  readonly say: (key: string, value: Json, urgent: boolean) => void
  readonly statuses: () => ReadonlyMap<MemberId, MemberStatus>
  readonly membership: () => Membership
  readonly view: () => View
  /** What a plan would see has changed. */
  readonly changed: () => void
  /** For people. */
  readonly note: AgentPort['note']
}

/** A package that is wanted here. */
interface Wanted {
  /** Instances run from it; else it is a copy for others. */
  runs: boolean
  fetch: PackageFetch | null
  unpacking: boolean
  failure: string | null
  cancelRetry: () => void
}

export class PackageKeeper implements Packages {
  readonly #options: PackageKeeperOptions
  readonly #wanted = new Map<PackageDigest, Wanted>()
  /** Asked for by others, and who asked: whom to fetch it from, whatever the statuses say. */
  readonly #copies = new Map<PackageDigest, Set<MemberId>>()
  readonly #copyWatch = new CopyWatch()
  readonly #arrivals = new Set<() => void>()
  #states: ReadonlyMap<PackageDigest, PackageState> = new Map()
  #told = ''
  #running: ReadonlySet<PackageDigest> = new Set()
  #cancelTidy: () => void = () => undefined
  #cancelLook: () => void = () => undefined
  #counts = { fetchedBytes: 0, servedBytes: 0, refusedChunks: 0 }
  #stopped = false

  constructor(options: PackageKeeperOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { store, answer } = this.#options
    await store.start()
    answerPackages({
      ...this.#options,
      have: (digest) => this.#wanted.get(digest)?.fetch?.have ?? null,
      served: (bytes) => (this.#counts.servedBytes += bytes),
      lost: () => this.#work(),
    })
    answer('package-copy', (from, body, signal) => this.#takeCopy(from, decodePackageQuestion(body), signal))
    this.#say()
    this.#tidyLater()
    this.#lookLater()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTidy()
    this.#cancelLook()
    for (const wanted of this.#wanted.values()) {
      wanted.cancelRetry()
      wanted.fetch?.leave()
    }
    this.#arrived()
  }

  /** Of every package that was wanted by the last pass. The same map until something in it changes. */
  states(): ReadonlyMap<PackageDigest, PackageState> {
    return this.#states
  }

  /** What instances here run from, or are about to. After every pass. */
  follow(running: readonly PackageDigest[]): void {
    if (this.#stopped) return
    this.#running = new Set(running)
    this.#remember()
    this.#work()
  }

  counters(): PackageCounters {
    const { store } = this.#options
    const short = this.#copyWatch.shortages.length
    return { ...this.#counts, held: store.held().size, short, ...store.usage() }
  }

  /** Packages that a release runs from and that have had too few copies for long, as this peer sees it. */
  shortages(): readonly PackageShortage[] {
    return this.#copyWatch.shortages
  }

  // ------------------------------------------------------------------------------------------------- for the face

  holds(digest: PackageDigest): boolean {
    return this.#options.store.held().has(digest)
  }

  async begin(manifest: Uint8Array): Promise<{ digest: PackageDigest; missing: readonly number[] }> {
    const { store } = this.#options
    this.#keep()
    const digest = await store.begin(manifest)
    if (this.holds(digest)) return { digest, missing: [] }
    return { digest, missing: await store.missing(chunksOf((await store.manifest(digest)) ?? [])) }
  }

  async take(chunk: ChunkDigest, bytes: Uint8Array): Promise<void> {
    await this.#options.store.write(chunk, bytes)
  }

  async secure(digest: PackageDigest, copies: number, signal: AbortSignal): Promise<readonly MemberId[]> {
    const { self, store, ask, view } = this.#options
    await store.finish(digest)
    this.#say()
    return await secureCopies(
      {
        digest,
        copies,
        having: [self, ...this.#sources(digest).holders],
        present: this.#present(),
        nameOf: (member) => view().members.find(({ id }) => id === member)?.name ?? member,
        ask,
      },
      signal,
    )
  }

  async contents(digest: PackageDigest, signal: AbortSignal): Promise<Manifest> {
    const { store, ask, log } = this.#options
    const own = await store.manifest(digest)
    if (own !== null) return own
    return await manifestFromAny(ask, this.#sources(digest).holders, digest, signal, log)
  }

  // ----------------------------------------------------------------------------------------------------- what is wanted

  /** Everything that is to be done now. Cheap when nothing is. */
  #work(): void {
    if (this.#stopped) return
    const { store } = this.#options
    const digests = new Set([...this.#running, ...this.#copies.keys(), ...this.#copyWatch.taken])
    for (const [digest, wanted] of this.#wanted) {
      if (digests.has(digest)) continue
      wanted.cancelRetry()
      wanted.fetch?.leave()
      this.#wanted.delete(digest)
    }
    for (const digest of digests) {
      const runs = this.#running.has(digest)
      const known = this.#wanted.get(digest)
      if (known !== undefined) known.runs = runs
      else
        this.#wanted.set(digest, {
          runs,
          fetch: null,
          unpacking: false,
          failure: null,
          cancelRetry: () => undefined,
        })
    }
    this.#keep()
    for (const [digest, wanted] of this.#wanted) {
      if (wanted.fetch !== null || wanted.unpacking || wanted.failure !== null) continue
      if (!store.held().has(digest)) this.#bring(digest, wanted)
      else if (wanted.runs && !store.unpacked().has(digest)) this.#unpack(digest, wanted)
    }
    this.#say()
    this.#tellStates()
  }

  #bring(digest: PackageDigest, wanted: Wanted): void {
    const running = [...this.#wanted.values()].filter(({ fetch }) => fetch !== null).length
    if (running >= FETCHES_MAX) return
    const { self, store, clock, random, log, ask } = this.#options
    const fetch = new PackageFetch(digest, {
      self,
      store,
      clock,
      random: random.fork(`fetch ${clock.now()}`),
      log,
      ask,
      sources: (of) => this.#sources(of),
      fetched: (bytes) => {
        this.#counts.fetchedBytes += bytes
        this.#tellStates()
      },
      lied: (member) => {
        this.#counts.refusedChunks += 1
        log.log('warn', 'a member sent bytes that are not what they should be', { member, package: digest })
      },
    })
    wanted.fetch = fetch
    this.#finish(digest, wanted, fetch.run())
  }

  #unpack(digest: PackageDigest, wanted: Wanted): void {
    wanted.unpacking = true
    // False: a chunk was damaged, so it is not held any more and is fetched.
    this.#finish(digest, wanted, this.#options.store.unpack(digest))
  }

  /** What comes after a piece of work. */
  #finish(digest: PackageDigest, wanted: Wanted, work: Promise<unknown>): void {
    const { clock, log } = this.#options
    void work
      .catch((thrown: unknown) => {
        if (this.#wanted.get(digest) !== wanted || this.#stopped) return
        wanted.failure = asTuttiError(thrown).message
        log.log('warn', 'a package cannot be had', { package: digest, reason: messageOf(thrown) })
        wanted.cancelRetry = clock.after(RETRY_MS, () => {
          wanted.failure = null
          this.#work()
        })
      })
      .then(() => {
        wanted.fetch = null
        wanted.unpacking = false
        this.#arrived()
        this.#work()
      })
  }

  #arrived(): void {
    for (const wake of this.#arrivals) wake()
  }

  /** What the last few releases of each service ran from stays, so that it can be gone back to. */
  #remember(): void {
    const { store, view, log } = this.#options
    const after = usesAfter(store.remembered(), view().services)
    if (after === null) return
    store.remember(after).catch((thrown: unknown) => {
      log.log('warn', 'the packages of services could not be written down', { reason: messageOf(thrown) })
    })
  }

  #keep(): void {
    const { store, view } = this.#options
    const needed = new Set([
      ...this.#running,
      ...this.#copies.keys(),
      ...this.#wanted.keys(),
      ...this.#copyWatch.kept,
    ])
    for (const digests of store.remembered().values()) for (const digest of digests) needed.add(digest)
    const listed = new Set(
      (view().packages ?? []).flatMap(({ digest, removed }) => (removed ? [] : [digest])),
    )
    store.keep({ needed, listed, run: this.#running })
  }

  #lookLater(): void {
    const { self, clock, store, view, membership, statuses, note } = this.#options
    this.#cancelLook = clock.after(COPIES_LOOK_MS, () => {
      const news = this.#copyWatch.look({
        self,
        view: view(),
        membership: membership(),
        statuses: statuses(),
        held: store.held(),
        usage: store.usage(),
        nowMs: clock.now(),
        wall: clock.wall(),
      })
      for (const { name, message } of news) note({ kind: 'unfulfilled', subject: `package ${name}`, message })
      this.#work()
      this.#lookLater()
    })
  }

  #tidyLater(): void {
    const { clock, store, log } = this.#options
    this.#cancelTidy = clock.after(TIDY_MS, () => {
      this.#keep()
      void store
        .tidy()
        .catch((thrown: unknown) =>
          log.log('warn', 'packages could not be tidied', { reason: messageOf(thrown) }),
        )
        .then(() => {
          if (this.#stopped) return
          this.#say()
          this.#tidyLater()
        })
    })
  }

  // ----------------------------------------------------------------------------------------------------- what is told

  #tellStates(): void {
    const { store } = this.#options
    const next = new Map<PackageDigest, PackageState>()
    for (const digest of this.#running) next.set(digest, this.#stateOf(digest, store))
    const isSame =
      next.size === this.#states.size &&
      [...next].every(([digest, state]) => {
        const before = this.#states.get(digest)
        return before !== undefined && isSameState(before, state)
      })
    if (isSame) return
    this.#states = next
    this.#options.changed()
  }

  #stateOf(digest: PackageDigest, store: PackageStore): PackageState {
    const wanted = this.#wanted.get(digest)
    return packageState({
      name: this.#packageName(digest),
      isUnpacked: store.unpacked().has(digest),
      isHeld: store.held().has(digest),
      failure: wanted?.failure ?? null,
      progress: wanted?.fetch?.progress ?? null,
    })
  }

  #say(): void {
    const { store, say } = this.#options
    const marks = (digests: Iterable<PackageDigest>): string[] =>
      [...digests].map(packageMark).toSorted(compareStrings).slice(0, PACKAGES_SAID_MAX)
    const fetching = [...this.#wanted].flatMap(([digest, { fetch }]) => (fetch === null ? [] : [digest]))
    const said = { held: marks(store.held()), fetching: marks(fetching) }
    const text = JSON.stringify(said)
    // Nothing is said until there is something: peers without packages are as they always were.
    if (text === this.#told || (this.#told === '' && said.held.length + said.fetching.length === 0)) return
    this.#told = text
    say(STATUS_KEYS.packages, said, true)
  }

  // ---------------------------------------------------------------------------------------------------- who has what

  #present(): readonly MemberId[] {
    const { self, membership, view } = this.#options
    const states = new Map(membership().members.map(({ id, state }) => [id, state]))
    return view().members.flatMap(({ id }) => (id !== self && isPresent(states.get(id)) ? [id] : []))
  }

  #sources(digest: PackageDigest): Sources {
    const statuses = this.#options.statuses()
    const mark = packageMark(digest)
    const asked = this.#copies.get(digest)
    const holders: MemberId[] = []
    const swarm: MemberId[] = []
    for (const member of this.#present()) {
      const said = statuses.get(member)?.packages
      if (said?.held.includes(mark) === true || asked?.has(member) === true) holders.push(member)
      else if (said?.fetching.includes(mark) === true) swarm.push(member)
    }
    return { holders, swarm }
  }

  #packageName(digest: PackageDigest): string {
    const known = (this.#options.view().packages ?? []).find((each) => each.digest === digest)
    return `package ${known?.ref ?? digest.slice(0, 12)}`
  }

  // ------------------------------------------------------------------------------------------------ copies for others

  /** Fetches a copy because a member asked for it; ends when it is held. */
  async *#takeCopy(from: MemberId, digest: PackageDigest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { clock } = this.#options
    const asked = this.#copies.get(digest) ?? new Set()
    if (asked.size === 0 && this.#copies.size >= COPIES_MAX)
      throw new TuttiError('busy', `${COPIES_MAX} copies are being fetched already`)
    if (this.holds(digest)) return
    this.#copies.set(digest, asked.add(from))
    this.#work()
    try {
      for (;;) {
        if (this.holds(digest)) return
        const failure = this.#wanted.get(digest)?.failure ?? null
        if (failure !== null) throw new TuttiError('storage', failure)
        if (signal.aborted || this.#stopped) throw new TuttiError('unreachable', 'nobody waits for the copy')
        yield new Uint8Array()
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            cancel()
            this.#arrivals.delete(wake)
            resolve()
          }
          const cancel = clock.after(COPY_WORD_MS, wake)
          this.#arrivals.add(wake)
        })
      }
    } finally {
      asked.delete(from)
      if (asked.size === 0) this.#copies.delete(digest)
      this.#work()
    }
  }
}
