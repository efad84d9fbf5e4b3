// The scale run: what it measures of a small cluster is plausible, distances are those of the published table, and the plot is
// well-formed whatever the figures.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { measure } from '../../simulations/scale/measure.ts'
import { plotOf } from '../../simulations/scale/plot.ts'
import { linkBetween, REGIONS } from '../../simulations/scale/regions.ts'

describe('a scale run', () => {
  it('measures an edit, a death and rest in a cluster over six regions, in which not everybody is connected', async () => {
    const measured = await measure({ peers: 20, seed: 'small', say: () => undefined })
    const { editHalfMs, editAllMs, deathHalfMs, deathAllMs } = measured
    const { restMessages, restBytes, editBytes, editSecondBytes } = measured
    assert.ok(editHalfMs <= editAllMs && editAllMs < 1000, `an edit took ${editAllMs} ms`)
    assert.ok(deathHalfMs <= deathAllMs && deathAllMs < 4000, `a death took ${deathAllMs} ms`)
    assert.ok(restMessages > 1 && restMessages < 50, `${restMessages} messages at rest`)
    assert.ok(restBytes > restMessages && editBytes > 1000)
    assert.ok(editSecondBytes > 0 && editSecondBytes < 2 * editBytes)
  })
})

describe('regions', () => {
  it('are as far apart there as back', () => {
    for (const from of REGIONS.keys())
      for (const to of REGIONS.keys()) assert.deepEqual(linkBetween(from, to), linkBetween(to, from))
  })

  it('are half a round trip apart, and machines of one region a millisecond', () => {
    assert.equal(linkBetween(0, 2).delayMinMs, 72.5)
    assert.equal(linkBetween(1, 7).delayMinMs, 1)
  })
})

describe('a plot', () => {
  it('has a panel for each figure, a dot for each size and no number that is none', () => {
    const points = [
      [10, 0],
      [100, 5],
    ] as const
    const svg = plotOf([
      { title: 'one', unit: 'ms', lines: [{ name: 'all', points }] },
      { title: 'none', unit: 'ms', lines: [{ name: 'all', points: [[10, 0]] }] },
    ])
    assert.equal(svg.match(/<g /g)?.length, 2)
    assert.equal(svg.match(/<circle/g)?.length, 3)
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/)
  })
})
