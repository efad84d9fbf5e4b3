// Packages as the document knows them: a name and a version that stand for one content for good. What the content is made of
// is in the manifest (node/package/manifest.ts), which the digest names; the document holds neither files nor chunks.

import { Type, type Static } from 'typebox'
import { LIMITS } from '../../lib/limits.ts'
import { COMMIT_PATTERN, PACKAGE_DIGEST_PATTERN } from './patterns.ts'

/** The commit that a version was built from: in its record and not in its files, so that equal content has one digest. */
export const PackageSource = Type.Object(
  {
    commit: Type.String({ pattern: COMMIT_PATTERN }),
    /** Of the commit: `Name <address>`. */
    author: Type.String({ maxLength: 200 }),
    /** When it was committed, wall time in milliseconds. */
    at: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
)
export type PackageSource = Static<typeof PackageSource>

/** A version's value in the document, as canonical JSON. */
export const PackageEntry = Type.Object(
  {
    digest: Type.String({ pattern: PACKAGE_DIGEST_PATTERN }),
    /** Of all files together. */
    bytes: Type.Integer({ minimum: 0, maximum: LIMITS.packageBytesMax }),
    files: Type.Integer({ minimum: 0, maximum: LIMITS.packageEntriesMax }),
    /** Left out: it was pushed as a directory. */
    source: Type.Optional(PackageSource),
    /** Taken out for good; the digest stays, so that the version never comes to mean something else. */
    removed: Type.Optional(Type.Literal(true)),
  },
  { additionalProperties: false },
)
export type PackageEntry = Static<typeof PackageEntry>
