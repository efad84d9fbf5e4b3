// What this peer gives of its packages when others ask: manifests, what it has, and chunks, each verified as it is read. Bounded
// by the transport, which takes so many questions of a member and no more, and reads on only as fast as the asker does.

import { TuttiError } from '../../lib/errors.ts'
import type { PackageDigest } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { PackageStore } from '../package/store.ts'
import type { AgentPort } from '../ports.ts'
import {
  decodeChunksQuestion,
  decodePackageQuestion,
  encodeChunk,
  encodeHave,
  manifestParts,
} from './package-wire.ts'

export interface PackageServing {
  readonly store: PackageStore
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
  answer('package-have', (_from, body) => giveHave(serving, decodePackageQuestion(body)))
  answer('package-chunks', (_from, body) => giveChunks(serving, body))
}

async function* giveManifest({ store }: PackageServing, digest: PackageDigest): AsyncGenerator<Uint8Array> {
  const bytes = await store.manifestBytes(digest)
  if (bytes === null) throw new TuttiError('unknown', 'this peer does not have that package')
  yield* manifestParts(bytes)
}

async function* giveHave({ store, have }: PackageServing, digest: PackageDigest): AsyncGenerator<Uint8Array> {
  yield store.held().has(digest) ? encodeHave(null) : encodeHave(have(digest) ?? new Uint8Array())
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
