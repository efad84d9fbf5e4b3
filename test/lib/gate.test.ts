import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Gate } from '../../lib/gate.ts'

describe('gate', () => {
  const turns = (count: number) => Array.from({ length: count }, () => Promise.withResolvers<void>())

  it('lets as many through at once as it is wide, first come, first served', async () => {
    const gate = new Gate(2)
    const works = turns(4)
    const begun: number[] = []
    const all = works.map(({ promise }, at) =>
      gate.pass(async () => {
        begun.push(at)
        await promise
      }),
    )
    assert.deepEqual(begun, [0, 1])
    works[1]?.resolve()
    await all[1]
    assert.deepEqual(begun, [0, 1, 2])
    for (const { resolve } of works) resolve()
    await Promise.all(all)
    assert.deepEqual(begun, [0, 1, 2, 3])
  })

  it('gives the place of failed work on, and its failure to its caller', async () => {
    const gate = new Gate(1)
    const failed = gate.pass(() => Promise.reject(new Error('no')))
    const next = gate.pass(() => Promise.resolve('next'))
    await assert.rejects(failed, /no/)
    assert.equal(await next, 'next')
    assert.equal(await gate.pass(() => Promise.resolve('later')), 'later')
  })

  it('refuses to let nobody through', () => {
    assert.throws(() => new Gate(0))
  })
})
