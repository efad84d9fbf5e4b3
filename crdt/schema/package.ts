// Packages as the document knows them: a name and a version that stand for one content for good. What the content is made of
// is in the manifest (node/package/manifest.ts), which the digest names; the document holds neither files nor chunks.

import { Type, type Static } from 'typebox'
import { LIMITS } from '../../lib/limits.ts'
import { COMMIT_PATTERN } from './build-duty.ts'

const DIGEST = '[0-9a-f]{64}'
const NAME = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
/** As tags of images and versions of packages are written: `1.4.2`, `v2.0.0-rc.1+linux`. */
const VERSION = '[A-Za-z0-9][A-Za-z0-9._+-]{0,63}'

export const PACKAGE_DIGEST_PATTERN = `^${DIGEST}$`
export const PACKAGE_NAME_PATTERN = `^${NAME}$`
export const PACKAGE_VERSION_PATTERN = `^${VERSION}$`
/** `api@1.4.2`. */
export const PACKAGE_REF_PATTERN = `^${NAME}@${VERSION}$`
/** `api@1.4.2#<digest>`: what a service is pinned to, so that nothing said of the version later changes what runs. */
export const PACKAGE_PIN_PATTERN = `^${NAME}@${VERSION}#${DIGEST}$`
/** Either of the two. */
export const PACKAGE_NAMED_PATTERN = `^${NAME}@${VERSION}(#${DIGEST})?$`

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
