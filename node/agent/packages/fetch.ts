// One package on its way to this peer: the manifest from whoever has it, then its chunks by net/fetch.ts, which decides whom to
// ask for what; this file asks, verifies by way of the store, and tells it what came. Goes on for as long as it is wanted,
// whoever comes and goes meanwhile, and ends with the package held. Deliberately absent: whether it is wanted.

import { asTuttiError, messageOf, TuttiError } from '../../../lib/errors.ts'
import type { ChunkDigest, MemberId, PackageDigest } from '../../../lib/ids.ts'
import type { Log } from '../../../lib/log.ts'
import type { Random } from '../../../lib/random.ts'
import type { Clock } from '../../../lib/time.ts'
import { Fetch, type FetchEffect } from '../../../net/fetch.ts'
import { chunksOf, type Chunk, type Manifest } from '../../package/manifest.ts'
import type { PackageStore } from '../../package/store.ts'
import type { AgentPort } from '../../ports.ts'
import { manifestFrom } from './manifest.ts'
import { decodeChunk, decodeHave, encodeChunksQuestion, encodePackageQuestion } from './wire.ts'

/** Between two looks at who is there and what stands still. */
const TICK_MS = 100
/** A manifest's answer: sixteen megabytes at the most. */
const MANIFEST_TIMEOUT_MS = 20_000
/** Between two rounds of asking everybody for a manifest. */
const MANIFEST_REST_MS = 500

export interface Sources {
  /** Living members that have all of it, and those that fetch it too. */
  readonly holders: readonly MemberId[]
  readonly swarm: readonly MemberId[]
}

export interface PackageFetchOptions {
  readonly self: MemberId
  readonly store: PackageStore
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly ask: AgentPort['ask']
  readonly sources: (digest: PackageDigest) => Sources
  /** Bytes of a chunk came and were right. */
  readonly fetched: (bytes: number) => void
  /** A member sent bytes that are not what they should be. */
  readonly lied: (member: MemberId) => void
}

/** How far it is. */
export interface Progress {
  readonly bytes: number
  readonly bytesLeft: number
  /** Nobody there has it, as far as this peer knows. */
  readonly isAlone: boolean
}

export class PackageFetch {
  readonly digest: PackageDigest
  readonly #options: PackageFetchOptions
  readonly #leaving = new AbortController()
  readonly #answers = new Map<number, AbortController>()
  #fetch: Fetch | null = null
  #chunks: readonly Chunk[] = []
  #bytes = 0
  #failure: TuttiError | null = null
  #wake: () => void = () => undefined

  constructor(digest: PackageDigest, options: PackageFetchOptions) {
    this.digest = digest
    this.#options = options
  }

  /** What of it is here, as a bitmap; null: not known yet. */
  get have(): Uint8Array | null {
    return this.#fetch?.have ?? null
  }

  get progress(): Progress {
    const fetch = this.#fetch
    if (fetch === null) {
      const { holders, swarm } = this.#options.sources(this.digest)
      return { bytes: 0, bytesLeft: 0, isAlone: holders.length + swarm.length === 0 }
    }
    return { bytes: this.#bytes, bytesLeft: fetch.bytesLeft, isAlone: fetch.alone }
  }

  /** Not wanted any more: `run` rejects soon. */
  leave(): void {
    this.#leaving.abort()
    this.#wake()
  }

  /** Resolves when it is held. @throws TuttiError `storage`, or `conflict` after `leave`. */
  async run(): Promise<void> {
    const { store, clock, random, self } = this.#options
    const manifest = (await store.manifest(this.digest)) ?? (await this.#askForManifest())
    this.#chunks = chunksOf(manifest)
    this.#bytes = this.#chunks.reduce((sum, [, bytes]) => sum + bytes, 0)
    const missing = new Set(await store.missing(this.#chunks))
    const fetch = new Fetch({
      self,
      lengths: this.#chunks.map(([, bytes]) => bytes),
      here: [...this.#chunks.keys()].filter((chunk) => !missing.has(chunk)),
      random: random.fork(this.digest),
      nowMs: clock.now(),
    })
    this.#fetch = fetch
    try {
      for (;;) {
        this.#check()
        const { holders, swarm } = this.#options.sources(this.digest)
        fetch.setSources(holders, swarm, clock.now())
        for (const effect of fetch.tick(clock.now())) this.#perform(fetch, effect)
        if (fetch.done) break
        await this.#pause(TICK_MS)
      }
    } finally {
      for (const answer of this.#answers.values()) answer.abort()
    }
    await store.finish(this.digest)
  }

  /** @throws TuttiError why it does not go on. */
  #check(): void {
    if (this.#failure !== null) throw this.#failure
    if (this.#leaving.signal.aborted) throw new TuttiError('conflict', 'the package is not wanted any more')
  }

  /** Asks everybody who may have it, one after the other, until somebody does. @throws TuttiError `storage`, `conflict`. */
  async #askForManifest(): Promise<Manifest> {
    const { store, log } = this.#options
    for (;;) {
      const { holders, swarm } = this.#options.sources(this.digest)
      for (const member of [...holders, ...swarm]) {
        this.#check()
        try {
          const bytes = await this.#manifestFrom(member)
          await store.begin(bytes)
        } catch (thrown) {
          const error = asTuttiError(thrown)
          if (error.code === 'storage') throw error
          log.log('debug', 'a member did not give a manifest', { member, reason: messageOf(thrown) })
        }
        const manifest = await store.manifest(this.digest)
        if (manifest !== null) return manifest
      }
      this.#check()
      await this.#pause(MANIFEST_REST_MS)
    }
  }

  async #manifestFrom(member: MemberId): Promise<Uint8Array> {
    const { ask, clock } = this.#options
    const late = new AbortController()
    const cancel = clock.after(MANIFEST_TIMEOUT_MS, () => late.abort())
    try {
      return await manifestFrom(
        ask,
        member,
        this.digest,
        AbortSignal.any([late.signal, this.#leaving.signal]),
      )
    } catch (thrown) {
      if (asTuttiError(thrown).code === 'invalid') this.#options.lied(member)
      throw thrown
    } finally {
      cancel()
    }
  }

  #perform(fetch: Fetch, effect: FetchEffect): void {
    if (effect.kind === 'leave') {
      this.#answers.get(effect.ask)?.abort()
      return
    }
    const leaving = new AbortController()
    this.#answers.set(effect.ask, leaving)
    const asked =
      effect.kind === 'ask'
        ? this.#askForChunks(fetch, effect, leaving.signal)
        : this.#askWhatThereIs(fetch, effect, leaving.signal)
    void asked.finally(() => {
      this.#answers.delete(effect.ask)
      this.#wake()
    })
  }

  /** Never rejects. */
  async #askForChunks(
    fetch: Fetch,
    { ask, member, chunks }: Extract<FetchEffect, { kind: 'ask' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, store } = this.#options
    const wanted = chunks.flatMap((at): readonly (readonly [number, ChunkDigest])[] => {
      const chunk = this.#chunks[at]
      return chunk === undefined ? [] : [[at, chunk[0]]]
    })
    const question = encodeChunksQuestion(
      this.digest,
      wanted.map(([, digest]) => digest),
    )
    const rest = wanted.values()
    let brought = 0
    try {
      for await (const part of this.#options.ask(member, 'package-chunks', question, signal)) {
        const next = rest.next().value
        if (next === undefined) throw new TuttiError('invalid', 'more chunks came than were asked for')
        const [at, digest] = next
        const bytes = decodeChunk(part)
        if (bytes === null) continue
        const { length } = bytes
        await store.write(digest, bytes)
        this.#options.fetched(length)
        brought += 1
        fetch.received(ask, at, clock.now())
      }
      fetch.ended(ask, brought < wanted.length, clock.now())
    } catch (thrown) {
      const error = asTuttiError(thrown)
      if (error.code === 'invalid') {
        this.#options.lied(member)
        fetch.lied(ask, clock.now())
        return
      }
      if (error.code === 'storage') this.#failure = error
      fetch.ended(ask, true, clock.now())
    }
  }

  /** Never rejects. */
  async #askWhatThereIs(
    fetch: Fetch,
    { ask, member }: Extract<FetchEffect, { kind: 'ask-have' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options
    try {
      for await (const part of this.#options.ask(
        member,
        'package-have',
        encodePackageQuestion(this.digest),
        signal,
      )) {
        fetch.has(ask, decodeHave(part, this.#chunks.length), clock.now())
        this.#wake()
      }
      fetch.ended(ask, false, clock.now())
    } catch {
      fetch.ended(ask, true, clock.now())
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}
