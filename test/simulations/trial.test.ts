// The trial of a mutant: what counts as a catch, and by which seed.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Trial } from '../../simulations/mutants/trial.ts'

const mutant = { name: 'planted', bug: 'something', breaks: 'S7' }

describe('the trial of a mutant', () => {
  it('names the first seed that caught it, in whatever order they are played', () => {
    const trial = new Trial(mutant, 10)
    assert.deepEqual([trial.deal(), trial.deal(), trial.deal()], [0, 1, 2])
    trial.hear(2, ['S7: too much'])
    assert.equal(trial.deal(), null, 'a later seed would tell nothing')
    assert.ok(!trial.isOver, 'an earlier one is still being played')
    trial.hear(1, ['L2: waits', 'S7: far too much'])
    trial.hear(0, [])
    assert.ok(trial.isOver)
    assert.equal(trial.seeds, 2)
    assert.equal(trial.evidence, 'S7: far too much')
    assert.deepEqual(trial.others, ['L2'])
  })

  it('is lost when only other checkers fired', () => {
    const trial = new Trial(mutant, 2)
    trial.hear(trial.deal() ?? -1, ['crash: boom'])
    assert.ok(!trial.isOver)
    trial.hear(trial.deal() ?? -1, ['S1: differ', 'S70: no such thing'])
    assert.ok(trial.isOver)
    assert.equal(trial.seeds, null)
    assert.deepEqual(trial.others, ['S1', 'S70', 'crash'])
  })
})
