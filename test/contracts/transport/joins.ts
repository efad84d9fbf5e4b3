// Claims of the transport contract about joining: what the key of a ticket may do, and what a newcomer is told.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { textOf, utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import { failsWith } from './answers.ts'
import type { OpenTwo } from './fleet.ts'

const TICKET_SEED = new Uint8Array(32).fill(7)
const TICKET_KEY = signerFromSeed(TICKET_SEED).member

export const joinClaims = (openTwo: OpenTwo): void => {
  it('lets the key of a ticket join, and nothing of it counts as a member', async () => {
    const [fleet, a] = await openTwo()
    a.transport.setInvites(new Set([TICKET_KEY]))
    a.admit = async (invite, body) => utf8(`${invite} ${textOf(body)}`)
    const answer = await fleet.run(fleet.join(TICKET_SEED, a.transport.addresses(), utf8('me')))
    assert.equal(textOf(answer), `${TICKET_KEY} me`)
    assert.deepEqual(a.events, [])
    assert.equal(a.transport.connections().size, 0)
  })

  it('gives a newcomer the sentence it is refused with', async () => {
    const [fleet, a] = await openTwo()
    a.transport.setInvites(new Set([TICKET_KEY]))
    a.admit = async () => {
      throw new TuttiError('refused', 'this ticket has expired')
    }
    const joining = fleet.run(fleet.join(TICKET_SEED, a.transport.addresses(), utf8('me')))
    await assert.rejects(joining, failsWith('refused', /^this ticket has expired$/))
  })

  it('tells a ticket nobody knows from a member nobody reaches', async () => {
    const [fleet, a, b] = await openTwo()
    const joining = fleet.run(fleet.join(TICKET_SEED, a.transport.addresses(), utf8('me')))
    await assert.rejects(joining, failsWith('refused', /does not know this ticket/))
    const addresses = b.transport.addresses()
    await fleet.run(b.transport.stop())
    const alone = fleet.run(fleet.join(TICKET_SEED, addresses, utf8('me')))
    await assert.rejects(alone, failsWith('unreachable', /reached/))
  })
}
