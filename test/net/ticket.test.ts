// Tickets: one line, read back exactly; anything else is one clear sentence.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { TuttiError } from '../../lib/errors.ts'
import type { ClusterId } from '../../lib/ids.ts'
import { signerFromSeed } from '../../lib/signature.ts'
import {
  checkTicketExpiry,
  encodeTicket,
  encodeToken,
  inviteIdOf,
  parseTicket,
  type Ticket,
} from '../../net/ticket.ts'

const ticket: Ticket = {
  cluster: '0123456789abcdef0123456789abcdef' as ClusterId,
  expiresAt: 1_790_000_000_000,
  seed: Uint8Array.from({ length: 32 }, (_, at) => at * 7),
  addresses: ['/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWA', '/ip4/10.0.0.5/tcp/4001/p2p/12D3KooWB'],
}

const errorOf = (text: string): TuttiError => {
  try {
    parseTicket(text)
  } catch (error) {
    assert.ok(error instanceof TuttiError)
    return error
  }
  throw new assert.AssertionError({ message: `'${text}' was accepted` })
}

describe('ticket', () => {
  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(),
        fc.array(fc.string({ maxLength: 60 }), { maxLength: 8 }),
        (seed, expiresAt, addresses) => {
          const one = { cluster: ticket.cluster, expiresAt, seed, addresses }
          assert.deepEqual(parseTicket(encodeTicket(one)), one)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('is one line of harmless characters', () => {
    assert.match(encodeTicket(ticket), /^tutti1-[A-Za-z0-9_-]+$/)
  })

  it('names the key of its seed, as a token too', () => {
    assert.equal(inviteIdOf(ticket), signerFromSeed(ticket.seed).member)
    const token = parseTicket(encodeToken(ticket))
    assert.deepEqual(token.addresses, [])
    assert.equal(inviteIdOf(token), inviteIdOf(ticket))
  })

  it('survives being wrapped by a terminal', () => {
    const text = encodeTicket(ticket)
    assert.deepEqual(parseTicket(`  ${text.slice(0, 40)}\n  ${text.slice(40)}\n`), ticket)
  })

  it('says that it is cut short, wherever it is cut', () => {
    const text = encodeTicket(ticket)
    for (let length = 'tutti1-'.length; length < text.length; length += 1) {
      assert.match(errorOf(text.slice(0, length)).message, /incomplete or damaged; copy the whole line/)
    }
  })

  it('says what else is wrong, in one sentence with a next step', () => {
    assert.match(errorOf('').message, /empty; copy/)
    assert.match(errorOf('hello').message, /not a ticket/)
    assert.equal(errorOf('tutti2-abc').code, 'unsupported')
    assert.match(errorOf(`tutti1-${'a'.repeat(9000)}`).message, /too long/)
    assert.match(errorOf('tutti1-%%%').message, /damaged/)
    assert.match(errorOf(`tutti1-${Buffer.from('{"c":1}').toString('base64url')}`).message, /damaged/)
    assert.match(errorOf(`tutti1-${Buffer.from('[]').toString('base64url')}`).message, /damaged/)
    assert.match(errorOf(`${encodeTicket(ticket)}AAAA`).message, /damaged/)
  })

  it('never throws anything but its own errors', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        assert.ok(errorOf(`tutti1-${text}`) instanceof TuttiError)
      }),
      { numRuns: 200 },
    )
  })

  it('expires by the given wall time', () => {
    checkTicketExpiry(ticket, ticket.expiresAt - 1)
    assert.throws(
      () => checkTicketExpiry(ticket, ticket.expiresAt + 180_000),
      /expired 3m ago; ask for a new one/,
    )
  })
})
