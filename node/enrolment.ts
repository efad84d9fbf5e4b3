// How this machine's peer comes into a cluster: it founds one, or asks to be admitted with a ticket. What it returns is
// written into the data directory and is all that a later start needs; the document itself is the store's.

import { hostname } from 'node:os'
import { TuttiError } from '../lib/errors.ts'
import { toHex } from '../lib/bytes.ts'
import { clusterIdOf } from '../crdt/genesis.ts'
import { NAME_PATTERN, type MemberId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import type { Signer } from '../lib/signature.ts'
import { nameLike } from '../net/admission.ts'
import { decodeJoinAnswer, encodeJoinRequest, signJoin } from '../net/join-wire.ts'
import { memberOfAddress, requestJoin, type JoinRequest } from '../net/libp2p/transport.ts'
import { checkTicketExpiry, inviteIdOf, parseTicket, type Ticket } from '../net/ticket.ts'
import type { ClusterOrigin } from './act/disk/identity.ts'
import { systemClock } from './clock.ts'
import type { KnownPeer } from './agent/neighbourhood.ts'

/** How a peer joins: with a ticket, or with a member's address and a token. */
export type JoinOptions =
  | { readonly kind: 'ticket'; readonly ticket: string }
  | { readonly kind: 'address'; readonly address: string; readonly token: string }

/** Several rounds over every address of a ticket at three seconds each, and a slow disk at the other end. */
const JOIN_TIMEOUT_MS = 30_000
/** Nobody answering is tried again for this long: a busy member's handshake may take seconds when a fleet joins at once. */
const JOIN_PATIENCE_MS = 12_000
const JOIN_PAUSE_MS = 500
const NONCE_BYTES = 16

/** The name that was asked for, or one like the host's. @throws TuttiError `invalid`. */
export const nameFor = (name: string | null): string => {
  if (name === null) return nameLike(hostname())
  if (new RegExp(NAME_PATTERN).test(name)) return name
  throw new TuttiError(
    'invalid',
    `'${name}' is not a name for a peer; use lower-case letters, digits and dashes`,
  )
}

/** A cluster of one, whose id proves its founder (crdt's founding change). */
export const found = (
  signer: Signer,
  name: string,
  randomBytes: (length: number) => Uint8Array,
): ClusterOrigin => {
  const nonce = toHex(randomBytes(NONCE_BYTES))
  const cluster = clusterIdOf(signer.member, nonce)
  return { kind: 'founded', cluster, nonce, name }
}

/** The ticket that join options amount to. @throws TuttiError `invalid`, `unsupported`. */
export const ticketOf = (join: JoinOptions): Ticket => {
  if (join.kind === 'ticket') return parseTicket(join.ticket)
  return { ...parseTicket(join.token), addresses: [join.address] }
}

/**
 * Asks the ticket's members to admit this machine's key.
 * @throws TuttiError `refused` with the cluster's sentence, `unreachable`, `timeout`.
 */
export const enrol = async (options: {
  readonly ticket: Ticket
  readonly signer: Signer
  readonly name: string
  readonly nameChosen: boolean
  readonly wall: number
  readonly log: Log
}): Promise<ClusterOrigin> => {
  const { ticket, signer, name, nameChosen, wall, log } = options
  checkTicketExpiry(ticket, wall)
  const { cluster, seed, addresses } = ticket
  const request = signJoin({ cluster, name, nameChosen, addresses: [] }, inviteIdOf(ticket), signer)
  const body = await requestUntilAnswered({
    ticketSeed: seed,
    addresses,
    body: encodeJoinRequest(request),
    signal: AbortSignal.timeout(JOIN_TIMEOUT_MS),
    log,
  })
  const answer = decodeJoinAnswer(body)
  if (answer.cluster !== cluster) {
    throw new TuttiError(
      'refused',
      "the ticket's peers are of another cluster now; ask for a new one with 'tutti invite'",
    )
  }
  return {
    kind: 'joined',
    cluster,
    name: answer.name,
    addresses: answer.members.flatMap((member) => member.addresses),
  }
}

/** Asks again while nobody is reached; a refusal is final. */
const requestUntilAnswered = async (request: JoinRequest): Promise<Uint8Array> => {
  const patientUntilMs = systemClock.now() + JOIN_PATIENCE_MS
  for (;;) {
    try {
      return await requestJoin(request)
    } catch (thrown) {
      const unreached =
        thrown instanceof TuttiError && thrown.code === 'unreachable' && request.addresses.length > 0
      if (!unreached || systemClock.now() > patientUntilMs) throw thrown
      await new Promise<void>((retry) => systemClock.after(JOIN_PAUSE_MS * (0.5 + Math.random()), retry))
    }
  }
}

/**
 * The members that an origin names, each with its addresses: whom to trust and dial while the document is not here yet.
 * `also` are addresses from the command line of a member that comes back: the way in when all it knew are outdated.
 */
export const bootstrapOf = (origin: ClusterOrigin, also: readonly string[]): readonly KnownPeer[] => {
  const peers = new Map<MemberId, string[]>()
  for (const address of [...also, ...(origin.kind === 'joined' ? origin.addresses : [])]) {
    const member = memberOfAddress(address)
    if (member === null) continue
    const known = peers.get(member)
    if (known === undefined) peers.set(member, [address])
    else known.push(address)
  }
  return [...peers].map(([id, addresses]) => ({ id, addresses }))
}
