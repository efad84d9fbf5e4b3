// Claims of the transport contract about connections: who is let in (S12), what is reported, and how an end is told from a
// cut.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { utf8 } from '../../../lib/bytes.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import { connectPeers, type OpenTwo } from './fleet.ts'

export const connectionClaims = (openTwo: OpenTwo, connectedTwo: OpenTwo): void => {
  it('names its own key in every address', async () => {
    const [, a] = await openTwo()
    assert.ok(a.transport.addresses().length > 0)
    for (const address of a.transport.addresses()) assert.ok(address.endsWith(`/p2p/${a.id}`), address)
  })

  it('reports a connection once on each side', async () => {
    const [fleet, a, b] = await connectedTwo()
    assert.equal(await fleet.run(a.transport.dial(b.id, b.transport.addresses())), true)
    assert.deepEqual(a.events, [`+${b.id}`])
    assert.deepEqual(b.events, [`+${a.id}`])
  })

  it('answers false when nobody is at the address, or somebody else is', async () => {
    const [fleet, a, b] = await openTwo()
    const stranger = signerFromSeed(new Uint8Array(32).fill(99)).member
    a.transport.setMembers(new Set([a.id, b.id, stranger]))
    const elsewhere = b.transport.addresses().map((address) => address.replace(b.id, stranger))
    assert.equal(await fleet.run(a.transport.dial(stranger, elsewhere)), false)
    assert.equal(await fleet.run(a.transport.dial(b.id, [])), false)
    assert.deepEqual([...a.events, ...b.events], [])
  })

  it('neither dials nor admits a key that is not a member (S12)', async () => {
    const [fleet, a, b] = await openTwo()
    b.transport.setMembers(new Set([b.id]))
    assert.equal(await fleet.run(b.transport.dial(a.id, a.transport.addresses())), false)
    assert.equal(await fleet.run(a.transport.dial(b.id, b.transport.addresses())), false)
    await fleet.until(() => !a.sees(b), 'the refused connection is gone')
    assert.equal(a.events.length % 2, 0, 'a connection that was reported is reported as ended')
    assert.deepEqual(b.events, [])
  })

  it('cuts a removed member at once and lets it in again when it is back (S12)', async () => {
    const [fleet, a, b] = await connectedTwo()
    a.transport.setMembers(new Set([a.id]))
    await fleet.until(() => !a.sees(b) && !b.sees(a), 'the removed member is cut')
    assert.equal(a.transport.send(b.id, 'sync', utf8('late')), false)
    assert.equal(await fleet.run(b.transport.dial(a.id, a.transport.addresses())), false)
    a.transport.setMembers(new Set([a.id, b.id]))
    await fleet.until(() => !b.sees(a), 'the refused connection is gone')
    await connectPeers(fleet, b, a)
    assert.deepEqual(b.texts('sync'), [])
  })

  it('tells a close from a cut of its own', async () => {
    const [fleet, a, b] = await connectedTwo()
    a.transport.disconnect(b.id)
    await fleet.until(() => a.silences.length === 1 && b.silences.length === 1, 'both know')
    assert.deepEqual([a.silences, b.silences], [[true], [false]])
  })

  it('reports a member that stops as gone with a word', async () => {
    const [fleet, a, b] = await connectedTwo()
    await fleet.run(b.transport.stop())
    await fleet.until(() => !a.sees(b), 'the stopped member is gone')
    assert.deepEqual(a.silences, [false])
    assert.deepEqual(b.events, [`+${a.id}`], 'nothing is reported after the stop')
  })
}
