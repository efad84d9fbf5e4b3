// Routes about packages: what there is, what is in one, and the three steps of a push: the manifest, the chunks that are missing,
// and making sure that it is on as many members as it should be. Listing it in the document is a change like any other.

import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { TuttiError } from '../../../../lib/errors.ts'
import type { PackageDigest } from '../../../../lib/ids.ts'
import { LIMITS } from '../../../../lib/limits.ts'
import { packageOf } from '../../../../crdt/edits-package.ts'
import { chunksOf } from '../../../package/manifest.ts'
import type { Packages } from '../../../package/store.ts'
import { packageContentsReply, packagesReply } from '../../replies/packages.ts'
import { nameOf } from '../../replies/reading.ts'
import type { ApiContext } from '../context.ts'
import {
  ChunksQuery,
  ChunksReply,
  ManifestReply,
  PACKAGE_ROUTES,
  PackageContentsReply,
  PackageQuery,
  PackagesReply,
  SecureReply,
  SecureRequest,
} from '../contract-packages.ts'
import { described } from '../described.ts'
import { chunksIn } from '../package-frames.ts'

const BYTES = 'application/octet-stream'
/** Chunks in one request: at a megabyte a second it is received in half of the time that a request may take. */
const CHUNKS_BODY_BYTES_MAX = 16 * 1024 * 1024
/** A copy of the largest package, over a link of 10 MB/s. */
const SECURE_MS = 600_000
/** A manifest of another member. */
const CONTENTS_MS = 20_000

/** @throws TuttiError `unsupported`. */
export const packagesIn = ({ packages }: Pick<ApiContext, 'packages'>): Packages => {
  if (packages !== undefined && packages !== null) return packages
  throw new TuttiError('unsupported', 'this peer keeps no packages')
}

export const packageRoutes = (app: FastifyInstance, context: ApiContext): void => {
  // As it comes, and not read before the route does: a package is never in memory.
  app.addContentTypeParser(BYTES, (_request: unknown, payload: IncomingMessage, done) => done(null, payload))
  readRoutes(app, context)
  pushRoutes(app, context)
}

const readRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.get(
    PACKAGE_ROUTES.packages,
    {
      schema: described({
        summary: 'The packages that are listed, and who has them',
        tag: 'reads',
        reply: PackagesReply,
      }),
    },
    () => packagesReply(context.reading()),
  )
  app.get<{ Querystring: PackageQuery }>(
    PACKAGE_ROUTES.contents,
    {
      schema: described({
        summary: 'What is in a package',
        description: 'Asks a member that has it where this peer does not.',
        tag: 'reads',
        querystring: PackageQuery,
        reply: PackageContentsReply,
      }),
    },
    async ({ query }) => {
      const { digest } = packageOf(context.reading().snapshot.view, query.of)
      const signal = AbortSignal.any([AbortSignal.timeout(CONTENTS_MS), context.closing])
      const manifest = await packagesIn(context).contents(digest, signal)
      return packageContentsReply(context.reading(), query.of, manifest)
    },
  )
}

const pushRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.post<{ Body: AsyncIterable<Uint8Array> }>(
    PACKAGE_ROUTES.manifest,
    {
      bodyLimit: LIMITS.manifestBytesMax,
      schema: described({
        summary: 'Begins a push: takes a manifest, says which chunks to send',
        description: `The body is the manifest (${BYTES}). \`missing\` are places in the list of its chunks, each once and in the order of the files.`,
        tag: 'writes',
        reply: ManifestReply,
      }),
    },
    async ({ body }): Promise<ManifestReply> => {
      const { digest, missing } = await packagesIn(context).begin(await wholeOf(body))
      return { digest, missing: [...missing] }
    },
  )
  app.post<{ Body: AsyncIterable<Uint8Array>; Querystring: ChunksQuery }>(
    PACKAGE_ROUTES.chunks,
    {
      bodyLimit: CHUNKS_BODY_BYTES_MAX,
      schema: described({
        summary: 'Sends chunks of a package whose manifest is there',
        description: `The body (${BYTES}, at most 16 MiB) has for each chunk its place and its length, four bytes each with the low byte first, and its bytes. What was sent stays, so a push that broke off goes on where it was.`,
        tag: 'writes',
        querystring: ChunksQuery,
        reply: ChunksReply,
      }),
    },
    async ({ body, query }): Promise<ChunksReply> => {
      const packages = packagesIn(context)
      const chunks = chunksOf(await packages.contents(query.digest as PackageDigest, context.closing))
      let count = 0
      let bytes = 0
      for await (const chunk of chunksIn(body)) {
        const expected = chunks[chunk.place]
        if (expected === undefined) throw new TuttiError('invalid', 'the package has no chunk at that place')
        const { length } = chunk.bytes
        await packages.take(expected[0], chunk.bytes)
        count += 1
        bytes += length
      }
      return { chunks: count, bytes }
    },
  )
  app.post<{ Body: SecureRequest }>(
    PACKAGE_ROUTES.packages,
    {
      schema: described({
        summary: 'Ends a push: answers when so many members have the package',
        description:
          'All of its chunks must have been sent. Without `copies`: two, or one in a cluster of one. It is listed by the operation `put-package` of a change.',
        tag: 'writes',
        body: SecureRequest,
        reply: SecureReply,
      }),
    },
    async ({ body, raw }): Promise<SecureReply> => {
      const gone = new AbortController()
      raw.socket.once('close', () => gone.abort())
      const copies = body.copies ?? Math.min(2, context.reading().snapshot.view.members.length)
      const signal = AbortSignal.any([gone.signal, context.closing, AbortSignal.timeout(SECURE_MS)])
      const holders = await packagesIn(context).secure(body.digest as PackageDigest, copies, signal)
      const reading = context.reading()
      return { digest: body.digest, holders: holders.map((member) => nameOf(reading, member)).toSorted() }
    },
  )
}

/** @throws TuttiError `too-large`, `invalid` for a body that is no bytes. */
const wholeOf = async (body: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body) {
    length += part.length
    if (length > LIMITS.manifestBytesMax) throw new TuttiError('too-large', 'the manifest is too large')
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}
