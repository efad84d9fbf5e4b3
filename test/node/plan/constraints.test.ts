import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TuttiError } from '../../../lib/errors.ts'
import { parseConstraint, refusalBy, refusalOf } from '../../../node/plan/constraints.ts'

const oak = { id: '12D3KooW', name: 'oak', labels: { zone: 'eu-1', 'disk.kind': 'ssd' } }

describe('constraints', () => {
  it('parses labels, names, ids and Swarm’s host name, with any white space', () => {
    assert.deepEqual(parseConstraint('node.labels.disk.kind==ssd'), {
      subject: { kind: 'label', key: 'disk.kind' },
      equal: true,
      value: 'ssd',
    })
    assert.deepEqual(parseConstraint(' node.hostname  !=  oak '), {
      subject: { kind: 'name' },
      equal: false,
      value: 'oak',
    })
    assert.deepEqual(parseConstraint('node.id == x').subject, { kind: 'id' })
  })

  it('refuses anything else with one sentence that says what is allowed', () => {
    for (const text of [
      '',
      'node.labels.zone',
      'node.labels.zone = a',
      'node.labels. == a',
      'node.role == b',
      'node.name ==',
    ]) {
      assert.throws(
        () => parseConstraint(text),
        (thrown) =>
          thrown instanceof TuttiError && thrown.code === 'invalid' && thrown.message.includes('node.'),
      )
    }
  })

  it('gives the reason of a refusal in words', () => {
    const reason = (text: string) => refusalOf(parseConstraint(text), oak)
    assert.equal(reason('node.labels.zone == eu-1'), null)
    assert.equal(
      reason('node.labels.zone != eu-1'),
      'node.labels.zone is eu-1, the constraint asks for != eu-1',
    )
    assert.equal(reason('node.name == elm'), 'node.name is oak, the constraint asks for == elm')
    assert.equal(
      reason('node.labels.gpu == yes'),
      'node.labels.gpu is not set, the constraint asks for == yes',
    )
    assert.equal(reason('node.labels.gpu != yes'), null)
    assert.equal(reason('node.labels.constructor != yes'), null)
  })

  it('lets nobody in where a constraint cannot be parsed, and otherwise all must hold', () => {
    assert.match(refusalBy(['node.future ~ x'])(oak) ?? '', /is not a constraint/)
    assert.equal(refusalBy(['node.name == oak', 'node.labels.zone == eu-1'])(oak), null)
    assert.match(refusalBy(['node.name == oak', 'node.labels.zone == eu-2'])(oak) ?? '', /eu-2/)
  })
})
