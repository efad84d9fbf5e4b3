// A command string as words.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shellWords } from '../../../cli/cell-file/shell-words.ts'

describe('shellWords', () => {
  const good: readonly (readonly [string, readonly string[]])[] = [
    ['node server.js', ['node', 'server.js']],
    ['  a\t b\n', ['a', 'b']],
    [`sh -c 'echo "a b" && c'`, ['sh', '-c', 'echo "a b" && c']],
    ['a "b \\"c\\" \\$d \\n"', ['a', 'b "c" $d \\n']],
    ["a''b ''", ['ab', '']],
    ['a\\ b \\"', ['a b', '"']],
    ['a \\\n b', ['a', 'b']],
    ['', []],
    ['grep "&&"', ['grep', '&&']],
  ]
  for (const [text, words] of good) {
    it(`cuts ${JSON.stringify(text)} as a shell would`, () => {
      assert.deepEqual(shellWords(text), { words, error: null })
    })
  }

  const bad: readonly (readonly [string, RegExp])[] = [
    ['a "b', /^a " quote is not closed$/],
    ["a 'b", /^a ' quote is not closed$/],
    ['a \\', /escapes nothing/],
    ['a && b', /^'&&' needs a shell/],
    ['a | b', /^'\|' needs a shell/],
    ['a > log', /^'>' needs a shell/],
  ]
  for (const [text, error] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.match(shellWords(text).error ?? '', error))
  }
})
