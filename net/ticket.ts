// Tickets: the one line by which a machine joins. It carries the cluster's id, the members' addresses, an expiry and the
// seed of a key that the intent knows as an invite; a token is the same without addresses. Whoever holds the line may
// join, so it is shown once and never logged. Text in, values out; whether the invite is still good, the members judge.

import { textOf, utf8 } from '../lib/bytes.ts'
import { TuttiError } from '../lib/errors.ts'
import type { ClusterId, MemberId } from '../lib/ids.ts'
import { canonicalJson } from '../lib/order.ts'
import { signerFromSeed } from '../lib/signature.ts'
import { formatDuration } from '../lib/time.ts'

export interface Ticket {
  readonly cluster: ClusterId
  /** Wall time, by the inviting peer's clock. */
  readonly expiresAt: number
  /** 32 bytes: the Ed25519 seed of the invite's key. Secret. */
  readonly seed: Uint8Array
  /** Multiaddrs of members; none in a token. */
  readonly addresses: readonly string[]
}

const PREFIX = 'tutti1-'
/** What the API accepts as a ticket; room for a few dozen addresses. */
const TICKET_LENGTH_MAX = 8192
const SEED_BYTES = 32
const COPY_AGAIN = "copy the whole line that 'tutti invite' printed"

/** The ticket as one line of text. */
export const encodeTicket = (ticket: Ticket): string => {
  const json = canonicalJson({
    a: [...ticket.addresses],
    c: ticket.cluster,
    e: ticket.expiresAt,
    s: base64UrlOf(ticket.seed),
  })
  return PREFIX + base64UrlOf(utf8(json))
}

/** The same secret without addresses, for `--join MULTIADDR --token T`. */
export const encodeToken = (ticket: Ticket): string => encodeTicket({ ...ticket, addresses: [] })

/**
 * Reads a ticket or a token. White space is ignored: terminals wrap long lines.
 * @throws TuttiError `invalid` with what to do about it.
 */
export const parseTicket = (text: string): Ticket => {
  const line = text.replaceAll(/\s/g, '')
  if (line === '') throw new TuttiError('invalid', `the ticket is empty; ${COPY_AGAIN}`)
  if (line.length > TICKET_LENGTH_MAX)
    throw new TuttiError('invalid', `this is too long for a ticket; ${COPY_AGAIN}`)
  if (!line.startsWith(PREFIX)) {
    const versioned = /^tutti\d+-/.test(line)
    throw new TuttiError(
      versioned ? 'unsupported' : 'invalid',
      versioned
        ? 'the ticket is of another version of tutti; install the version that the inviting peer runs'
        : `this is not a ticket: one begins with '${PREFIX}'; ${COPY_AGAIN}`,
    )
  }
  const ticket = ticketOf(line.slice(PREFIX.length))
  // One text per ticket: whatever was dropped, doubled or mistyped outside the secret shows here.
  if (ticket === null || encodeTicket(ticket) !== line) {
    throw new TuttiError('invalid', `the ticket is incomplete or damaged; ${COPY_AGAIN}`)
  }
  return ticket
}

/** @throws TuttiError `refused` when the ticket has expired by this machine's clock, given as wall time. */
export const checkTicketExpiry = (ticket: Ticket, wallMs: number): void => {
  if (wallMs < ticket.expiresAt) return
  const agoText = formatDuration(wallMs - ticket.expiresAt)
  throw new TuttiError('refused', `the ticket expired ${agoText} ago; ask for a new one with 'tutti invite'`)
}

/** The invite's id in the intent: the member id of the ticket's key. */
export const inviteIdOf = (ticket: Ticket): MemberId => signerFromSeed(ticket.seed).member

const ticketOf = (encoded: string): Ticket | null => {
  const json = fromBase64Url(encoded)
  if (json === null) return null
  let value: unknown
  try {
    value = JSON.parse(textOf(json))
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { a, c, e, s } = value as { readonly [key: string]: unknown }
  const seed = typeof s === 'string' ? fromBase64Url(s) : null
  if (seed === null || seed.length !== SEED_BYTES) return null
  if (typeof c !== 'string' || !/^[0-9a-f]{32}$/.test(c)) return null
  if (typeof e !== 'number' || !Number.isSafeInteger(e) || e < 0) return null
  if (!Array.isArray(a)) return null
  const addresses = a.filter((address: unknown) => typeof address === 'string')
  return { cluster: c as ClusterId, expiresAt: e, seed, addresses }
}

const base64UrlOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

const fromBase64Url = (text: string): Uint8Array | null =>
  /^[A-Za-z0-9_-]*$/.test(text) ? new Uint8Array(Buffer.from(text, 'base64url')) : null
