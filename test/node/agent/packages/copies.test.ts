// Who takes a copy of a package that has too few, and when people are told.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defined } from '../../../../lib/assert.ts'
import { sha256Hex } from '../../../../lib/hash.ts'
import type { MemberId, PackageDigest } from '../../../../lib/ids.ts'
import { packageMark } from '../../../../crdt/schema/status.ts'
import { CopyWatch, type CopiesInput } from '../../../../node/agent/packages/copies.ts'
import { packageCopies } from '../../../../node/plan/package-copies.ts'
import { fleet, idOf, numbered, service, type MemberOptions } from '../../plan/fleet.ts'

const RUN = sha256Hex('run') as PackageDigest
const LISTED = sha256Hex('listed') as PackageDigest
const NAMES = ['m0', 'm1', 'm2', 'm3']
const ROOM = { bytes: 0, budgetBytes: 1000 }

/** A fleet of four whose members hold what they are told to; a service runs from RUN, and both packages are listed. */
const inputOf = (
  self: string,
  holds: Readonly<Record<string, readonly PackageDigest[]>>,
  nowMs: number,
  members: Record<string, MemberOptions> = numbered(4),
): CopiesInput => {
  const input = fleet({
    self,
    members,
    services: [service('shop/web', { package: `web@1#${RUN}` })],
  })
  const statuses = new Map(
    [...input.statuses].map(([id, status]) => {
      const name = NAMES.find((each) => idOf(each) === id) ?? ''
      const held = (holds[name] ?? []).map(packageMark)
      const packages = { held, fetching: new Array<string>() }
      return [id, { ...status, packages }] as const
    }),
  )
  const listed = [RUN, LISTED].map((digest, at) => ({
    ref: `web@${at + 1}`,
    digest,
    bytes: 100,
    files: 1,
    removed: false,
    author: idOf('m0'),
    at,
  }))
  return {
    self: idOf(self),
    view: { ...input.view, packages: listed },
    membership: input.membership,
    statuses,
    held: new Set(holds[self] ?? []),
    usage: ROOM,
    nowMs,
    wall: 1_000_000 + nowMs,
  }
}

/** Who takes a package after having seen the same for so long. */
const takers = (
  holds: Readonly<Record<string, readonly PackageDigest[]>>,
  waitedMs: number,
  over: Partial<CopiesInput> = {},
  members?: Record<string, MemberOptions>,
): readonly string[] =>
  NAMES.filter((name) => {
    const watch = new CopyWatch()
    watch.look({ ...inputOf(name, holds, 0, members), ...over, nowMs: 0 })
    watch.look({ ...inputOf(name, holds, waitedMs, members), ...over, nowMs: waitedMs })
    return watch.taken.has(RUN) || watch.taken.has(LISTED)
  })

describe('copies of packages', () => {
  it('are wanted twice, of what services run from first, and the same ones are named by everybody', () => {
    const holds = { m0: [RUN, LISTED], m1: [RUN] }
    const [first, second] = packageCopies(inputOf('m0', holds, 0))
    assert.deepEqual([first?.name, first?.copies, first?.wanted], ['web@1', 2, 2])
    assert.deepEqual([second?.name, second?.copies, second?.wanted], ['web@2', 1, 2])
    for (const name of NAMES)
      assert.deepEqual(packageCopies(inputOf(name, holds, 0)), packageCopies(inputOf('m0', holds, 0)))
  })

  it('are taken by one member alone, and only when what is missing is missing for longer than a restart takes', () => {
    const holds = { m0: [RUN, LISTED], m1: [LISTED] }
    assert.deepEqual(takers(holds, 10_000), [])
    const [one, ...others] = takers(holds, 30_000)
    assert.ok(one !== undefined && one !== 'm0')
    assert.deepEqual(others, [])
    // Whoever was elected may have no room: after a minute another one tries too.
    assert.equal(takers(holds, 90_000).length, 2)
    assert.equal(takers(holds, 100_000_000).length, 3)
  })

  it('are enough where two have them, where nobody has them to give, and where there is one member', () => {
    assert.deepEqual(takers({ m0: [RUN, LISTED], m3: [RUN, LISTED] }, 100_000), [])
    assert.deepEqual(takers({}, 100_000), [])
    const alone = { m0: {}, ...Object.fromEntries(NAMES.slice(1).map((name) => [name, { state: 'dead' }])) }
    assert.deepEqual(takers({ m0: [RUN, LISTED] }, 100_000, {}, alone as Record<string, MemberOptions>), [])
  })

  it('do not count on members that drain, and these take none', () => {
    const members: Record<string, MemberOptions> = { ...numbered(4), m0: { draining: true } }
    const found = takers({ m0: [RUN, LISTED], m1: [RUN, LISTED] }, 1_000_000, {}, members)
    assert.deepEqual(found, ['m2', 'm3'])
  })

  it('of what is only listed are not taken where packages fill half of their budget', () => {
    const holds = { m0: [RUN, LISTED], m1: [RUN] }
    assert.equal(takers(holds, 1_000_000, { usage: { bytes: 400, budgetBytes: 1000 } }).length, 3)
    assert.equal(takers(holds, 1_000_000, { usage: { bytes: 401, budgetBytes: 1000 } }).length, 0)
  })

  it('that the cluster counts on are kept, and told of when they are too few for a minute', () => {
    const watch = new CopyWatch()
    const look = (holds: Readonly<Record<string, readonly PackageDigest[]>>, nowMs: number) =>
      watch.look(inputOf('m0', holds, nowMs))
    assert.deepEqual(look({ m0: [RUN], m1: [LISTED] }, 0), [])
    assert.deepEqual([...watch.kept], [RUN])
    assert.deepEqual(look({ m0: [RUN] }, 59_000), [])
    assert.deepEqual(watch.shortages, [])
    assert.deepEqual(look({ m0: [RUN] }, 60_000), [{ name: 'web@1', message: 'has 1 of 2 copies' }])
    assert.deepEqual(watch.shortages, [{ name: 'web@1', copies: 1, wanted: 2, since: 1_000_000 }])
    assert.deepEqual(look({ m0: [RUN] }, 65_000), [], 'told once')
    assert.deepEqual(look({ m0: [RUN], m2: [RUN] }, 70_000), [
      { name: 'web@1', message: 'has copies enough again' },
    ])
    // With more copies than are wanted, those of lower rank may go when room is short.
    const all = Object.fromEntries(NAMES.map((name) => [name, [RUN]]))
    const keepers = NAMES.filter((name) => {
      const each = new CopyWatch()
      each.look(inputOf(name, all, 0))
      return each.kept.has(RUN)
    })
    assert.equal(keepers.length, 2)
    const first = defined(packageCopies(inputOf('m0', all, 0))[0], 'a package')
    assert.deepEqual(new Set(first.keepers), new Set<MemberId>(keepers.map(idOf)))
  })
})
