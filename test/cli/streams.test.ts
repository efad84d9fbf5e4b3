// NDJSON and server-sent events, however the chunks were cut.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { array, assert as assertProperty, asyncProperty, nat } from 'fast-check'
import { eventsOf, linesOf } from '../../cli/streams.ts'

async function* chunks(parts: readonly string[]): AsyncGenerator<string> {
  yield* parts
}

const collect = async (values: AsyncIterable<unknown>): Promise<unknown[]> => {
  const all: unknown[] = []
  for await (const value of values) all.push(value)
  return all
}

/** `text` cut at the given places. */
const cut = (text: string, places: readonly number[]): string[] => {
  const sorted = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...sorted].map((from, at) => text.slice(from, sorted[at] ?? text.length))
}

describe('linesOf', () => {
  it('yields the same values however the text is cut', async () => {
    const text = '{"a":1}\n\n{"b":"ä\\n"}\r\n[3]'
    await assertProperty(
      asyncProperty(array(nat(), { maxLength: 8 }), async (places) => {
        assert.deepEqual(await collect(linesOf(chunks(cut(text, places)), 'x')), [
          { a: 1 },
          { b: 'ä\n' },
          [3],
        ])
      }),
      { numRuns: 200 },
    )
  })

  it('says that something else answers when a line is no JSON', async () => {
    await assert.rejects(collect(linesOf(chunks(['<html>\n']), 'http://h')), {
      code: 'internal',
      message: "what answers on http://h does not speak tutti's API; check --peer",
    })
  })
})

describe('eventsOf', () => {
  it('joins data lines, skips comments and ids, and drops an event without its end', async () => {
    const text = ': hi\n\nid: 1\nevent: x\ndata: {"a":\ndata:1}\n\n:\n\ndata: 2\n\ndata: 3\n'
    await assertProperty(
      asyncProperty(array(nat(), { maxLength: 8 }), async (places) => {
        assert.deepEqual(await collect(eventsOf(chunks(cut(text, places)), 'x')), [{ a: 1 }, 2])
      }),
      { numRuns: 200 },
    )
  })
})
