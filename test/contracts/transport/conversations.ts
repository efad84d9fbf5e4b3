// Claims of the transport contract about requests with input: both directions at once, no faster than either takes (S14).

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { textOf, utf8 } from '../../../lib/bytes.ts'
import { collect, failsWith, never } from './answers.ts'
import type { OpenTwo, Peer } from './fleet.ts'

export const conversationClaims = (connectedTwo: OpenTwo): void => {
  const talk = (a: Peer, b: Peer, input: AsyncIterable<Uint8Array>, signal = never()) =>
    a.transport.request(b.id, 'talk', new Uint8Array(), { signal, input })

  it('carries input and answer at the same time, each part as it was, and the end of either', async () => {
    const [fleet, a, b] = await connectedTwo()
    b.answer = async function* (_from, _method, _body, _signal, input) {
      for await (const part of input) yield part
      yield utf8('that was all')
    }
    const large = Uint8Array.from({ length: 300_000 }, (_, at) => at % 253)
    const echoed: Uint8Array[] = []
    // Each part is sent only when the one before has come back.
    let next: () => void = () => undefined
    const input = async function* () {
      for (const part of [utf8('one'), new Uint8Array(), large]) {
        const answered = new Promise<void>((resolve) => (next = resolve))
        yield part
        await answered
      }
    }
    const read = async (): Promise<void> => {
      for await (const part of talk(a, b, input())) {
        echoed.push(part)
        next()
      }
    }
    await fleet.run(read())
    assert.deepEqual(
      echoed.map((part) => part.length),
      [3, 0, 300_000, 12],
    )
    assert.ok(Buffer.from(large).equals(echoed[2] ?? new Uint8Array()))
  })

  it('sends input no faster than it is taken (S14)', async () => {
    const [fleet, a, b] = await connectedTwo()
    let sent = 0
    const partBytes = 256 * 1024
    const partsMax = 400
    const input = async function* () {
      for (; sent < partsMax; sent += 1) yield new Uint8Array(partBytes)
    }
    let take: () => void = () => undefined
    const allowed = new Promise<void>((resolve) => (take = resolve))
    b.answer = async function* (_from, _method, _body, _signal, given) {
      yield utf8('listening')
      await allowed
      let bytes = 0
      for await (const part of given) bytes += part.length
      yield utf8(String(bytes))
    }
    const answers: string[] = []
    let answered = 0
    const read = async (): Promise<void> => {
      for await (const part of talk(a, b, input())) {
        answers.push(textOf(part))
        answered += 1
      }
    }
    const reading = read()
    await fleet.until(() => answered === 1, 'the other side listens')
    // A round trip on the same connection later, all that the windows take is under way.
    await fleet.run(
      collect(a.transport.request(b.id, 'x', new Uint8Array(), { signal: AbortSignal.abort() })).catch(
        () => [],
      ),
    )
    assert.ok(sent < partsMax / 4, `${sent} parts left before one was taken`)
    take()
    await fleet.run(reading)
    assert.equal(answers[1], String(partBytes * partsMax))
  })

  it('ends for both when the answer ends first, and takes no more input', async () => {
    const [fleet, a, b] = await connectedTwo()
    b.answer = async function* (_from, _method, _body, _signal, input) {
      for await (const part of input) {
        yield part
        return
      }
    }
    let sent = 0
    const input = async function* () {
      for (; sent < 1000; sent += 1) yield utf8('again')
    }
    const parts = await fleet.run(collect(talk(a, b, input())))
    assert.deepEqual(parts.map(textOf), ['again'])
    assert.equal(a.sees(b) && b.sees(a), true, 'the connection stays')
  })

  it('tells the answering side when the asker aborts, while it waits for input and while it does not', async () => {
    const [fleet, a, b] = await connectedTwo()
    for (const takes of [true, false]) {
      const ends: string[] = []
      b.answer = async function* (_from, _method, _body, signal, input) {
        signal.addEventListener('abort', () => ends.push('signal'), { once: true })
        yield utf8('first')
        if (takes) {
          try {
            for await (const part of input) assert.ok(part.length >= 0)
            ends.push('input ended')
          } catch {
            ends.push('input broke')
          }
        } else
          await new Promise<void>((resolve) =>
            signal.addEventListener('abort', () => resolve(), { once: true }),
          )
      }
      const abort = new AbortController()
      const input = async function* () {
        yield utf8('x')
        // Never ends by itself.
        await new Promise<void>((resolve) =>
          abort.signal.addEventListener('abort', () => resolve(), { once: true }),
        )
      }
      const read = async (): Promise<void> => {
        for await (const part of talk(a, b, input(), abort.signal)) if (part.length > 0) abort.abort()
      }
      await assert.rejects(fleet.run(read()), failsWith('timeout', /in time/))
      await fleet.until(
        () => ends.includes('signal') && (!takes || ends.includes('input broke')),
        'it is told',
      )
      assert.ok(!ends.includes('input ended'), 'a broken input is not a whole one')
    }
  })
}
