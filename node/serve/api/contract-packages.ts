// The API contract of packages: beside contract.ts for its size. The same rules: adding is allowed, renaming is not.

import { Type, type Static } from 'typebox'
import { PackageSource } from '../../../crdt/schema/package.ts'
import { PACKAGE_DIGEST_PATTERN, PACKAGE_REF_PATTERN } from '../../../crdt/schema/patterns.ts'
import { LIMITS } from '../../../lib/limits.ts'
import { AsOf } from './contract.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
const Digest = Type.String({ pattern: PACKAGE_DIGEST_PATTERN })
const Ref = Type.String({ pattern: PACKAGE_REF_PATTERN })

export const PackageReply = Type.Object({
  /** `api@1.4.2`. */
  ref: Text,
  name: Text,
  version: Text,
  digest: Text,
  bytes: Count,
  files: Count,
  /** The peer on which it was pushed, and when by that peer's clock. */
  author: Text,
  at: Count,
  /** The commit that it was built from; null: it was pushed as a directory. */
  source: Type.Union([PackageSource, Type.Null()]),
  /** Peers that have it as a whole, and peers that it is on its way to; of those that are there. */
  holders: Type.Array(Text),
  fetching: Type.Array(Text),
  /** Services that run from it. */
  services: Type.Array(Text),
})
export type PackageReply = Static<typeof PackageReply>

/** `GET /v1/packages`. */
export const PackagesReply = Type.Object({ asOf: AsOf, packages: Type.Array(PackageReply) })
export type PackagesReply = Static<typeof PackagesReply>

/** Query of `GET /v1/packages/contents`. */
export const PackageQuery = Type.Object({ of: Ref }, strict)
export type PackageQuery = Static<typeof PackageQuery>

/** `GET /v1/packages/contents`. */
export const PackageContentsReply = Type.Object({
  asOf: AsOf,
  package: PackageReply,
  entries: Type.Array(
    Type.Object({
      path: Text,
      kind: Type.Enum(['file', 'link', 'directory'] as const),
      bytes: Count,
      executable: Type.Boolean(),
      /** Of a link; empty else. */
      target: Text,
    }),
  ),
  /** Further entries, left out of a long list. */
  omitted: Count,
})
export type PackageContentsReply = Static<typeof PackageContentsReply>

/** `POST /v1/packages/manifest`, whose body is a manifest: which chunks to send, as places in the list of its chunks. */
export const ManifestReply = Type.Object({ digest: Text, missing: Type.Array(Count) })
export type ManifestReply = Static<typeof ManifestReply>

/** Query of `POST /v1/packages/chunks`, whose body is chunks as package-frames.ts writes them. */
export const ChunksQuery = Type.Object({ digest: Digest }, strict)
export type ChunksQuery = Static<typeof ChunksQuery>
export const ChunksReply = Type.Object({ chunks: Count, bytes: Count })
export type ChunksReply = Static<typeof ChunksReply>

/** `POST /v1/packages`: all chunks have been sent. */
export const SecureRequest = Type.Object(
  {
    digest: Digest,
    /** Members that must have it before the answer, the answering one included. @default 2, or 1 in a cluster of one */
    copies: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.membersMax })),
  },
  strict,
)
export type SecureRequest = Static<typeof SecureRequest>
export const SecureReply = Type.Object({ digest: Text, holders: Type.Array(Text) })
export type SecureReply = Static<typeof SecureReply>

export const PACKAGE_ROUTES = {
  /** GET: PackagesReply. POST: SecureRequest. */
  packages: '/v1/packages',
  contents: '/v1/packages/contents',
  manifest: '/v1/packages/manifest',
  chunks: '/v1/packages/chunks',
} as const
