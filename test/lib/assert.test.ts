// Assertions: silent while beliefs hold, and they name the belief that does not.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assert as believe, AssertionError, defined, unreachable } from '../../lib/assert.ts'
import { TuttiError } from '../../lib/errors.ts'

describe('assert', () => {
  it('says which belief was wrong, as a bug and not as an answer', () => {
    believe(true, 'truth')
    assert.throws(() => believe(0, 'the queue is bounded'), {
      name: 'AssertionError',
      message: 'assertion failed: the queue is bounded',
    })
    assert.equal(new AssertionError('x') instanceof TuttiError, false)
  })
})

describe('defined', () => {
  it('gives back every value but undefined and null', () => {
    for (const value of [0, '', false, Number.NaN]) assert.equal(defined(value, 'it'), value)
    for (const value of [undefined, null])
      assert.throws(() => defined(value, 'the agent'), { message: 'assertion failed: the agent is missing' })
  })
})

describe('unreachable', () => {
  it('throws with what reached it', () => {
    assert.throws(() => unreachable({ kind: 'new' } as never), { message: 'unreachable: {"kind":"new"}' })
  })
})
