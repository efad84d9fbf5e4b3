// Which addresses of a member to try, from all places that know some. Pure list work: it parses nothing, since a bad
// multiaddr is the transport's to refuse.

/** A machine has few interfaces; more than this is noise that costs dials. */
export const ADDRESSES_TRIED_MAX = 16

/**
 * The addresses in order of trust, each once, at most sixteen: usually what worked last, what its status says, what it
 * was admitted with, what this peer was started with.
 */
export const mergeAddresses = (...sources: readonly (readonly string[])[]): readonly string[] =>
  [...new Set(sources.flat())].slice(0, ADDRESSES_TRIED_MAX)
