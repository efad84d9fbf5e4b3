// What this peer gives of its packages when others ask: manifests, what it has, and chunks, each verified as it is read. Bounded
// by the transport, which takes so many questions of a member and no more, and reads on only as fast as the asker does.

import { sameBytes } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { PackageDigest } from '../../../lib/ids.ts'
import type { Log } from '../../../lib/log.ts'
import type { Clock } from '../../../lib/time.ts'
import type { PackageStore } from '../../package/store.ts'
import type { AgentPort } from '../../ports.ts'
import {
  decodeChunksQuestion,
  decodePackageQuestion,
  encodeChunk,
  encodeHave,
  manifestParts,
} from './wire.ts'

/** Between two words of what is here, while it grows: the others wait for it, and a word is a thousandth of what it tells of. */
const HAVE_WORD_MS = 150
/** Without news too, so that whoever listens knows that somebody is there. */
const HAVE_SILENCE_MS = 5000

export interface PackageServing {
  readonly store: PackageStore
  readonly clock: Clock
  readonly log: Log
  readonly answer: AgentPort['answer']
  /** What is here of a package that is on its way, as a bitmap; null: nothing is known. */
  readonly have: (digest: PackageDigest) => Uint8Array | null
  readonly served: (bytes: number) => void
  /** A package that was here as a whole is not any more. */
  readonly lost: () => void
}

/** Registers the answers. Once per agent. */
export const answerPackages = (serving: PackageServing): void => {
  const { answer } = serving
  answer('package-manifest', (_from, body) => giveManifest(serving, decodePackageQuestion(body)))
  answer('package-have', (_from, body, signal) => giveHave(serving, decodePackageQuestion(body), signal))
  answer('package-chunks', (_from, body) => giveChunks(serving, body))
}

async function* giveManifest({ store }: PackageServing, digest: PackageDigest): AsyncGenerator<Uint8Array> {
  const bytes = await store.manifestBytes(digest)
  if (bytes === null) throw new TuttiError('unknown', 'this peer does not have that package')
  yield* manifestParts(bytes)
}

/** What is here, and again as it grows, as long as it is on its way: asking again and again would cost a stream each time. */
async function* giveHave(
  { store, clock, have }: PackageServing,
  digest: PackageDigest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let told: Uint8Array | null = null
  let toldAtMs = 0
  for (;;) {
    const isHeld = store.held().has(digest)
    const bits = have(digest)
    const word = encodeHave(isHeld ? null : (bits ?? new Uint8Array()))
    if (told === null || !sameBytes(told, word) || clock.now() - toldAtMs >= HAVE_SILENCE_MS) {
      told = word
      toldAtMs = clock.now()
      yield word
    }
    if (isHeld || bits === null) return
    await new Promise<void>((resolve) => {
      const over = (): void => {
        cancel()
        signal.removeEventListener('abort', over)
        resolve()
      }
      const cancel = clock.after(HAVE_WORD_MS, over)
      signal.addEventListener('abort', over)
    })
    if (signal.aborted) return
  }
}

async function* giveChunks(serving: PackageServing, body: Uint8Array): AsyncGenerator<Uint8Array> {
  const { store, log, lost, served } = serving
  const { digest, chunks } = decodeChunksQuestion(body)
  // The next one is read while the last one is on its way.
  let next = chunks[0] === undefined ? null : store.read(chunks[0])
  for (const [at, chunk] of chunks.entries()) {
    const bytes = (await next) ?? null
    const after = chunks[at + 1]
    next = after === undefined ? null : store.read(after)
    // Whoever leaves early does not wait for it.
    next?.catch(() => undefined)
    if (bytes === null && store.held().has(digest)) {
      // It said that it has it all: now it has not, says so, and gets it back.
      log.log('warn', 'a chunk of a package is damaged or missing', { package: digest, chunk })
      await store.lose(digest)
      lost()
    }
    served(bytes?.length ?? 0)
    yield encodeChunk(bytes)
  }
}
