// Tickets on the cluster's side: minting them, and answering newcomers that come with one. The rules are net/admission
// and net/ticket (pure); this file reads the view, asks them, and turns an admission into an edit of the intent.

import type { Edit, EditMeta } from '../../crdt/edit.ts'
import { addMember, putInvite } from '../../crdt/edits.ts'
import type { Role, View } from '../../crdt/schema/view.ts'
import { TuttiError } from '../../lib/errors.ts'
import type { ClusterId, MemberId } from '../../lib/ids.ts'
import { signerFromSeed } from '../../lib/signature.ts'
import type { Clock } from '../../lib/time.ts'
import { judgeJoin } from '../../net/admission.ts'
import { decodeJoinRequest, encodeJoinAnswer } from '../../net/join-wire.ts'
import { encodeTicket, encodeToken } from '../../net/ticket.ts'
import type { EditResult, Invitation } from '../ports.ts'
import type { KnownPeer } from './neighbourhood.ts'

export interface InvitationsOptions {
  readonly cluster: ClusterId
  readonly clock: Clock
  readonly newSeed: () => Uint8Array
  readonly view: () => View
  readonly edit: (edits: readonly Edit[], meta: EditMeta) => Promise<EditResult>
  /** Where this peer itself is reached. */
  readonly addresses: () => readonly string[]
  /** Every member with its addresses, for the newcomer's first dials. */
  readonly members: () => readonly KnownPeer[]
  /** Lets the new invite through the gater before the ticket is handed out. */
  readonly refresh: () => void
}

export class Invitations {
  readonly #options: InvitationsOptions

  constructor(options: InvitationsOptions) {
    this.#options = options
  }

  /** Mints a ticket. @throws TuttiError `invalid`, `storage`. */
  async invite(wanted: {
    readonly expiresMs: number
    readonly uses: number
    readonly role: Role
  }): Promise<Invitation> {
    const { cluster, clock, newSeed, edit, addresses, view } = this.#options
    const seed = newSeed()
    const { member: id } = signerFromSeed(seed)
    const at = clock.wall()
    const expiresAt = at + wanted.expiresMs
    const edits = putInvite(view(), { id, expiresAt, uses: wanted.uses, role: wanted.role })
    await edit(edits, { message: `invite ${wanted.uses} ${wanted.role}`, at })
    this.#options.refresh()
    const ticket = { cluster, expiresAt, seed, addresses: addresses() }
    return {
      ticket: encodeTicket(ticket),
      token: encodeToken(ticket),
      addresses: ticket.addresses,
      expiresAt,
      uses: wanted.uses,
    }
  }

  /** Answers a newcomer. @throws TuttiError `refused` with the sentence for the newcomer's terminal. */
  async join(invite: MemberId, body: Uint8Array): Promise<Uint8Array> {
    const { cluster, clock, view, edit, members } = this.#options
    const request = decodeJoinRequest(body)
    const known = view()
    const verdict = judgeJoin(
      {
        cluster,
        invite,
        record: known.invites.find(({ id }) => id === invite) ?? null,
        members: known.members,
        removed: known.removed,
        wallMs: clock.wall(),
      },
      request,
    )
    if (verdict.kind === 'refuse') throw new TuttiError('refused', verdict.reason)
    if (!verdict.known) {
      const edits = addMember(known, {
        id: request.member,
        name: verdict.name,
        role: verdict.role,
        addresses: request.addresses,
        invite,
      })
      await edit(edits, { message: `admit ${verdict.name}`, at: clock.wall() })
      this.#options.refresh()
    }
    return encodeJoinAnswer({ cluster, name: verdict.name, members: members() })
  }
}
