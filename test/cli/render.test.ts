// Tables, widths, colours and harmless text.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cell, fitted, harmless, paintFor, table, wantsColour, widthOf } from '../../cli/render.ts'

const sink = (isTerminal: boolean, columns = 40) => ({ write: () => undefined, isTerminal, columns })
const plain = paintFor(sink(false), {})

describe('harmless', () => {
  it('shows control characters instead of sending them', () => {
    assert.equal(
      harmless('a\u001b[31mb\u0007\u009b2J\r\n\u007f'),
      'a\u241b[31mb\u2407\ufffd2J\u240d\u240a\u2421',
    )
  })

  it('neutralises bidirectional overrides', () => {
    assert.equal(harmless('x\u202ey\u2066z'), 'x\ufffdy\ufffdz')
  })

  it('keeps letters of every script', () => {
    assert.equal(harmless('grün 日本 🎻\t|'), 'grün 日本 🎻\t|')
  })
})

describe('widthOf', () => {
  it('counts wide characters twice and marks not at all', () => {
    assert.deepEqual(['abc', '日本', 'e\u0301', '🎻', 'ﬁ'].map(widthOf), [3, 4, 1, 2, 1])
  })
})

describe('fitted', () => {
  it('cuts to the width with an ellipsis and never through a wide character', () => {
    assert.deepEqual(
      [fitted('abcdef', 4), fitted('日本語', 4), fitted('abc', 3), fitted('abc', 0)],
      ['abc…', '日…', 'abc', ''],
    )
  })
})

describe('wantsColour', () => {
  const cases = [
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [false, { FORCE_COLOR: '1' }, true],
    [true, { FORCE_COLOR: '0' }, false],
    [true, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
    [true, { TERM: 'dumb' }, false],
  ] as const
  for (const [isTerminal, environment, wanted] of cases) {
    it(`is ${wanted} on ${isTerminal ? 'a terminal' : 'a pipe'} with ${JSON.stringify(environment)}`, () => {
      assert.equal(wantsColour(sink(isTerminal), environment), wanted)
    })
  }
})

describe('table', () => {
  const rows = [
    [cell('日本'), cell('ready')],
    [cell('a\tb'), cell('x'.repeat(60))],
  ]

  it('aligns columns on a terminal and cuts the last one to the width', () => {
    assert.equal(
      table(['NAME', 'STATE'], rows, sink(true, 20), plain),
      `NAME  STATE\n日本  ready\na b   ${'x'.repeat(13)}…\n`,
    )
  })

  it('separates columns by tabs when piped and cuts nothing', () => {
    assert.equal(
      table(['NAME', 'STATE'], rows, sink(false), plain),
      `NAME\tSTATE\n日本\tready\na b\t${'x'.repeat(60)}\n`,
    )
  })
})
