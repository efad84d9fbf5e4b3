// Variables in values, as the Compose specification has them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { interpolate } from '../../../cli/cell-file/interpolate.ts'

const variables = { A: 'a', EMPTY: '', _x1: 'y' }

describe('interpolate', () => {
  const good: readonly (readonly [string, string])[] = [
    ['plain', 'plain'],
    ['$A/${A}', 'a/a'],
    ['$_x1', 'y'],
    ['$$A $${A}', '$A ${A}'],
    ['${EMPTY:-d}|${EMPTY-d}', 'd|'],
    ['${NONE:-d}|${NONE-d}', 'd|d'],
    ['${A:+set}|${EMPTY:+set}|${EMPTY+set}|${NONE+set}', 'set||set|'],
    ['${A:?no}', 'a'],
    ['${NONE:-${A}b}', 'ab'],
    ['${NONE:-}', ''],
    ['${NONE:-a:b?c}', 'a:b?c'],
  ]
  for (const [text, wanted] of good) {
    it(`makes ${JSON.stringify(wanted)} of ${text}`, () => {
      assert.deepEqual(interpolate(text, variables), { text: wanted, unset: [], error: null })
    })
  }

  it('makes nothing of an unset variable, and names it', () => {
    assert.deepEqual(interpolate('x${NONE}y$NONE', variables), { text: 'xy', unset: ['NONE'], error: null })
  })

  const bad: readonly (readonly [string, RegExp])[] = [
    [
      '${NONE:?set it to the host}',
      /^variable NONE is not set: set it to the host; set it in the environment or in .env$/,
    ],
    ['${EMPTY:?}', /^variable EMPTY is not set; /],
    ['${A', /has no closing brace; write \$\$/],
    ['cost: 5$', /lone dollar sign; write \$\$/],
    ['${1A}', /is not a variable; write \$\{NAME\}/],
    ['${A!}', /is not a variable/],
  ]
  for (const [text, error] of bad) {
    it(`refuses ${text}`, () => assert.match(interpolate(text, variables).error ?? '', error))
  }
})
