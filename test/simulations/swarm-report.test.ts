// The report of a swarm: every kind and every invariant is named, numbers read alike everywhere, failures are told whole.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FAULTS } from '../../simulations/faults/registry.ts'
import { reportOf, type SwarmCounts } from '../../simulations/swarm-report.ts'

const counts: SwarmCounts = {
  command: 'npm run sim:swarm -- 2 --base b',
  commit: 'c0ffee',
  runtime: 'v24.0.0',
  date: '2026-01-01',
  seeds: 2000,
  failed: 0,
  peers: '5',
  minutes: '3',
  simulatedMs: 7_200_000,
  cpuMs: 24_000,
  seconds: 3600,
  workers: 4,
  performed: new Map([['kill', 1234567]]),
  befallen: new Map([['kill', 1999]]),
  checks: new Map([
    ['L1', 3],
    ['S10', 20],
    ['S2', 1000],
  ]),
  failures: [],
}

describe('the report of a swarm', () => {
  it('says what was played, where, how fast, and that nothing broke', () => {
    const report = reportOf(counts, FAULTS)
    for (const line of [
      '    npm run sim:swarm -- 2 --base b',
      '| commit | c0ffee |',
      '| seeds | 2,000 |',
      '| violations | none |',
      '| simulated seconds per second of CPU | 300 |',
      '| seeds an hour | 2,000, with 4 at once |',
      '| kill | 1,234,567 | 1,999 |',
      '| S10 | 20 |',
      'None.',
    ])
      assert.ok(report.includes(`${line}\n`), line)
  })

  it('names every kind, also those that never came, and invariants in their order', () => {
    const report = reportOf(counts, FAULTS)
    for (const { kind } of FAULTS) assert.ok(report.includes(`| ${kind} | `), kind)
    assert.ok(report.indexOf('| S2 |') < report.indexOf('| S10 |'))
    assert.ok(report.indexOf('| S10 |') < report.indexOf('| L1 |'))
  })

  it('tells failures as they were printed', () => {
    const report = reportOf(
      { ...counts, failed: 1, failures: ['FAILED b-7: S3\n  again: npm run sim'] },
      FAULTS,
    )
    assert.match(report, /\| violations \| in 1 seeds \|/)
    assert.match(report, / {4}FAILED b-7: S3\n {6}again: npm run sim\n/)
  })
})
