// Merging many sources, and the line format between them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fanIn, LIVE, type FanInOptions, type Marked, type Source } from '../../../node/serve/fan-in.ts'
import { fromParts, inChunks, toParts } from '../../../node/serve/lines.ts'
import { until } from '../../support/until.ts'

interface Item {
  readonly at: number
  readonly text: string
}

const item = (at: number, text = `${at}`): Item => ({ at, text })
const isItem = (value: unknown): value is Item => typeof value === 'object' && value !== null && 'at' in value

const source = (name: string, items: readonly Marked<Item>[]): Source<Item> => ({
  name,
  async *open() {
    yield* items
  },
})

const merged = async (
  sources: readonly Source<Item>[],
  more: Partial<FanInOptions<Item>> = {},
): Promise<string[]> => {
  const texts: string[] = []
  for await (const { text } of fanIn<Item>({
    sources,
    follow: false,
    tail: 100,
    at: ({ at }) => at,
    bytes: ({ text }) => text.length,
    notice: (name, reason) => item(0, `${name}: ${reason}`),
    signal: new AbortController().signal,
    ...more,
  })) {
    texts.push(text)
  }
  return texts
}

describe('fan-in', () => {
  it('merges by time and cuts to the last', async () => {
    const sources = [source('a', [item(1), item(4)]), source('b', [item(2), item(3)])]
    assert.deepEqual(await merged(sources), ['1', '2', '3', '4'])
    assert.deepEqual(await merged(sources, { tail: 3 }), ['2', '3', '4'])
    assert.deepEqual(await merged(sources, { tail: 0 }), [])
    assert.deepEqual(await merged([]), [])
  })

  it("keeps each source's own order, whatever its clock did", async () => {
    const sources = [source('a', [item(5, 'first'), item(1, 'second')]), source('b', [item(6)])]
    assert.deepEqual(await merged(sources), ['first', 'second', '6'])
  })

  it('costs one notice for a source that fails, before or amid its items', async () => {
    const failing = (name: string, items: readonly Item[]): Source<Item> => ({
      name,
      async *open() {
        yield* items
        throw new Error('gone')
      },
    })
    assert.deepEqual(await merged([failing('a', []), failing('b', [item(1)]), source('c', [item(2)])]), [
      'a: gone',
      'b: gone',
      '1',
      '2',
    ])
  })

  it('gives up on a source that hangs', async () => {
    let closed = false
    const hanging: Source<Item> = {
      name: 'a',
      async *open(signal) {
        yield item(1)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        closed = true
      },
    }
    assert.deepEqual(await merged([hanging, source('b', [item(2)])], { collectMs: 20 }), [
      'a: did not tell all it has within 20 ms',
      '1',
      '2',
    ])
    await until(() => closed)
  })

  it('bounds what one source may hold and says so', async () => {
    const large = source(
      'a',
      Array.from({ length: 40 }, (_, at) => item(at, `${at}`.padEnd(1024 * 1024))),
    )
    const texts = await merged([large])
    assert.match(texts[0] ?? '', /older lines are left out/)
    assert.ok(texts.length <= 17)
    assert.equal(texts.at(-1)?.trim(), '39')
  })

  it('reads a long tail of many sources', async () => {
    const many = Array.from({ length: 50 }, (_, name) =>
      source(
        `${name}`,
        Array.from({ length: 1000 }, (_, at) => item(at * 50 + name)),
      ),
    )
    const texts = await merged(many, { tail: 1000 })
    assert.deepEqual(
      texts,
      Array.from({ length: 1000 }, (_, at) => `${49_000 + at}`),
    )
  })

  it('follows until every source has ended, with nothing lost in between', async () => {
    const follow = (name: string, from: number): Source<Item> => ({
      name,
      async *open() {
        yield item(from)
        yield LIVE
        for (let at = 1; at < 1000; at += 1) yield item(from + at)
      },
    })
    const texts = await merged([follow('a', 0), follow('b', 10_000)], { follow: true, tail: 5000 })
    assert.equal(new Set(texts).size, 2000)
    assert.deepEqual(texts.slice(0, 2), ['0', '10000'])
  })

  it('closes every source when it is told to stop, also those that wait for the reader', async () => {
    const stop = new AbortController()
    let closed = 0
    const endless = (name: string): Source<Item> => ({
      name,
      async *open() {
        try {
          yield LIVE
          for (let at = 0; ; at += 1) yield item(at)
        } finally {
          closed += 1
        }
      },
    })
    const items = fanIn<Item>({
      sources: [endless('a'), endless('b')],
      follow: true,
      tail: 1,
      at: ({ at }) => at,
      bytes: () => 1,
      notice: () => item(0),
      signal: stop.signal,
    })
    await items.next()
    stop.abort()
    await items.return(undefined)
    await until(() => closed === 2)
  })
})

describe('lines', () => {
  const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
    const all: T[] = []
    for await (const one of items) all.push(one)
    return all
  }
  async function* of<T>(...items: readonly T[]): AsyncGenerator<T> {
    yield* items
  }

  it('come back as they were, wherever the parts were cut', async () => {
    const items = [item(1, 'ä\n"'), LIVE, item(2, '')] as const
    const bytes = Buffer.concat(await collect(toParts(of<Marked<Item>>(...items))))
    for (let size = 1; size < bytes.length; size += 1) {
      const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, at * size + size),
      )
      assert.deepEqual(await collect(fromParts(of(...parts), isItem)), items)
    }
  })

  it('are refused when they are of another kind, no JSON, cut off or endless', async () => {
    const read = (text: string) => collect(fromParts(of(Buffer.from(text)), isItem))
    await assert.rejects(read('{"x":1}\n'), { code: 'invalid' })
    await assert.rejects(read('{x\n'), { code: 'invalid' })
    await assert.rejects(read('{"at":1}'), { code: 'invalid' })
    await assert.rejects(read('x'.repeat(1024 * 1024 + 1)), { code: 'too-large' })
  })

  it('join to few chunks in a burst', async () => {
    const chunks = await collect(inChunks(of(...Array.from({ length: 10_000 }, () => 'x'.repeat(10)))))
    assert.ok(chunks.length <= 5)
    assert.equal(chunks.join('').length, 100_000)
  })
})
