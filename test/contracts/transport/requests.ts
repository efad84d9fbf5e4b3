// Claims of the transport contract about requests: answers in parts, refusals, and how each side learns of an end.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { textOf, utf8 } from '../../../lib/bytes.ts'
import { TuttiError } from '../../../lib/errors.ts'
import { collect, failsWith, never } from './answers.ts'
import { connectPeers, type OpenTwo } from './fleet.ts'

export const requestClaims = (openTwo: OpenTwo, connectedTwo: OpenTwo): void => {
  it('streams an answer, dialling first where it has to', async () => {
    const [fleet, a, b] = await openTwo()
    b.answer = async function* (from, method, body) {
      yield utf8(`${from} ${method}`)
      yield new Uint8Array(300_000).fill(body[0] ?? 0)
      yield new Uint8Array()
    }
    const answer = a.transport.request(b.id, 'logs', Uint8Array.of(5), {
      signal: never(),
      addresses: b.transport.addresses(),
    })
    const parts = await fleet.run(collect(answer))
    assert.equal(textOf(parts[0] ?? new Uint8Array()), `${a.id} logs`)
    assert.deepEqual(
      parts.map((part) => part.length),
      [parts[0]?.length, 300_000, 0],
    )
    assert.equal(parts[1]?.[299_999], 5)
  })

  it('refuses with the sentence of the other side, also after some parts', async () => {
    const [fleet, a, b] = await connectedTwo()
    b.answer = async function* () {
      yield utf8('one')
      throw new TuttiError('unknown', 'there is no such service here')
    }
    const parts: string[] = []
    const read = async (): Promise<void> => {
      for await (const part of a.transport.request(b.id, 'logs', new Uint8Array(), { signal: never() }))
        parts.push(textOf(part))
    }
    await assert.rejects(fleet.run(read()), failsWith('refused', /no such service/))
    assert.deepEqual(parts, ['one'])
  })

  it('stops both sides when the asker aborts or leaves', async () => {
    const [fleet, a, b] = await connectedTwo()
    let stopped = 0
    b.answer = async function* (_from, _method, _body, signal) {
      yield utf8('first')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      stopped += 1
    }
    const abort = new AbortController()
    const read = async (): Promise<void> => {
      for await (const part of a.transport.request(b.id, 'logs', new Uint8Array(), { signal: abort.signal }))
        if (part.length > 0) abort.abort()
    }
    await assert.rejects(fleet.run(read()), failsWith('timeout', /in time/))
    await fleet.until(() => stopped === 1, 'the answering side stops after the abort')
    const leave = async (): Promise<void> => {
      for await (const part of a.transport.request(b.id, 'logs', new Uint8Array(), { signal: never() }))
        if (part.length > 0) break
    }
    await fleet.run(leave())
    await fleet.until(() => stopped === 2, 'the answering side stops after the asker left')
  })

  it('says unreachable without a connection and when the connection breaks', async () => {
    const [fleet, a, b] = await openTwo()
    const ask = () => collect(a.transport.request(b.id, 'logs', new Uint8Array(), { signal: never() }))
    await assert.rejects(fleet.run(ask()), failsWith('unreachable', /no connection/))
    await connectPeers(fleet, a, b)
    let asked = false
    b.answer = async function* (_from, _method, _body, signal) {
      asked = true
      yield utf8('first')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    }
    const pending = assert.rejects(fleet.run(ask()), failsWith('unreachable', /broke/))
    await fleet.until(() => asked, 'the question arrives')
    b.transport.disconnect(a.id)
    await pending
  })
}
