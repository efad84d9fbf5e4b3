// What texts of the document look like, as regular expressions. Beside the schemas, for whoever reads such texts without them.

/** A whole commit hash, SHA-1 or SHA-256. */
export const COMMIT_PATTERN = '^([0-9a-f]{40}|[0-9a-f]{64})$'

/** A user, and a group after a colon: names as useradd(8) allows them, or numbers. */
export const USER_PATTERN = '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?$'

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
