// Errors: a code from the one table, and a sentence.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { asTuttiError, ERROR_CODES, messageOf, TuttiError } from '../../lib/errors.ts'

describe('errors', () => {
  it('have codes whose meaning is one lower-case sentence without a full stop', () => {
    for (const [code, meaning] of Object.entries(ERROR_CODES)) {
      assert.match(code, /^[a-z]+(-[a-z]+)*$/)
      assert.match(meaning, /^[a-z].*[^.]$/)
    }
  })

  it('carry their code, message and cause', () => {
    const cause = new Error('below')
    const error = new TuttiError('busy', 'the queue is full', { cause })
    assert.ok(error instanceof Error)
    assert.deepEqual(
      [error.name, error.code, error.message, error.cause],
      ['TuttiError', 'busy', 'the queue is full', cause],
    )
  })

  it('stay as they are when they are wrapped, and make anything else internal', () => {
    const error = new TuttiError('refused', 'no')
    assert.equal(asTuttiError(error), error)
    const thrown = new RangeError('out of range')
    const wrapped = asTuttiError(thrown)
    assert.deepEqual([wrapped.code, wrapped.message, wrapped.cause], ['internal', 'out of range', thrown])
    assert.equal(asTuttiError('plain').message, 'plain')
  })

  it('have words for anything that was thrown', () => {
    const things: readonly (readonly [unknown, string])[] = [
      [new Error('why'), 'why'],
      ['text', 'text'],
      [undefined, 'undefined'],
      [null, 'null'],
      [7, '7'],
      [Object.create(null), 'an unknown failure'],
    ]
    for (const [thrown, text] of things) assert.equal(messageOf(thrown), text)
  })
})
