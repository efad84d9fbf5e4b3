// The judgement of control groups as tables: which limits hold, whom a stop reaches, and the hint about many starts.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CgroupFacts } from '../../../node/doctor/facts.ts'
import { judgeCgroups } from '../../../node/doctor/judge-cgroups.ts'

const all = (writable: boolean): CgroupFacts['subsystems'] =>
  ['cpu', 'memory', 'pids'].map((name) => ({ name, writable }))

const mounted: NonNullable<CgroupFacts['unified']> = {
  point: '/sys/fs/cgroup',
  options: ['rw', 'nsdelegate', 'memory_recursiveprot', 'favordynmods'],
  movable: true,
}
const well: CgroupFacts = { version: 'v2', subsystems: all(true), killable: true, unified: mounted }

describe('cgroups', () => {
  for (const [name, facts] of [
    ['v2 that the peer may write, where the kernel ends groups', {}],
    ['both versions side by side', { version: 'hybrid' }],
    [
      'v1 with its freezer',
      {
        version: 'v1',
        subsystems: [...all(true), { name: 'freezer', writable: true }],
        killable: false,
        unified: null,
      },
    ],
  ] as const) {
    it(`are well with ${name}`, () => {
      const [finding, ...more] = judgeCgroups({ ...well, ...facts })
      assert.equal(finding?.level, 'ok')
      assert.match(finding.found, /limits hold, and a stop reaches everything/)
      assert.deepEqual(more, [])
    })
  }

  for (const [name, facts, words] of [
    [
      'none',
      { version: 'none', subsystems: [], unified: null },
      /none here; limits .* cannot be enforced, and a stop/,
    ],
    ['v2 that others own', { subsystems: all(false), unified: null }, /no subsystem; limits .*, and a stop/],
    [
      'v2 that only tracks',
      { subsystems: all(false) },
      /no subsystem; limits of services cannot be enforced$/,
    ],
    [
      'a missing one',
      { subsystems: all(true).filter((each) => each.name !== 'memory') },
      /limits of memory cannot/,
    ],
    ['v1 without its freezer', { version: 'v1', unified: null }, /process groups only/],
    ['an old kernel', { killable: false }, /Linux 5\.14/],
  ] as const) {
    it(`warn of ${name}`, () => {
      const [finding, ...more] = judgeCgroups({ ...well, ...facts })
      assert.equal(finding?.level, 'warn')
      assert.match(finding.found, words)
      assert.notEqual(finding.advice, '')
      assert.deepEqual(more, [])
    })
  }
})

describe('the mount of version 2', () => {
  const hintFor = (unified: CgroupFacts['unified']) => judgeCgroups({ ...well, unified }).at(1)

  it('is hinted at where moves into groups are slow, with a command that keeps its other options', () => {
    const hint = hintFor({ ...mounted, options: ['rw', 'seclabel', 'nsdelegate', 'memory_recursiveprot'] })
    assert.equal(hint?.level, 'ok')
    assert.match(hint.found, /without favordynmods/)
    assert.match(
      hint.advice,
      /mount -o remount,nsdelegate,memory_recursiveprot,favordynmods \/sys\/fs\/cgroup .*slightly dearer/,
    )
  })

  it('is not where it has the option, the kernel does not know it, or no group is made in it', () => {
    assert.equal(hintFor(mounted), undefined)
    assert.equal(hintFor({ ...mounted, options: ['rw'], movable: false }), undefined)
    assert.equal(hintFor(null), undefined)
  })
})
