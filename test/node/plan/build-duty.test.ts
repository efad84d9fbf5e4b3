// Who builds: the same answer everywhere, somebody who can, and nobody twice.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BuildProgress, MemberStatus } from '../../../crdt/schema/status.ts'
import type { BuildDutyView } from '../../../crdt/schema/view.ts'
import { buildLackOf, buildStewardOf, stateOfDuty, type DutyInput } from '../../../node/plan/build-duty.ts'
import { fleet, idOf, type MemberOptions } from './fleet.ts'

interface Words {
  readonly lack?: string
  readonly progress?: BuildProgress['phase']
}

const inputOf = (
  members: Readonly<Record<string, MemberOptions>>,
  words: Readonly<Record<string, Words>> = {},
): DutyInput => {
  const input = fleet({ members })
  const statuses = new Map(
    Object.keys(members).map((name) => {
      const { lack = '', progress } = words[name] ?? {}
      const base: MemberStatus | undefined = input.statuses.get(idOf(name))
      assert.ok(base !== undefined)
      const builds = new Map<string, BuildProgress>()
      if (progress !== undefined) builds.set('shop', { phase: progress, commit: '', since: 0, reason: '' })
      return [idOf(name), { ...base, builder: { lack }, builds }] as const
    }),
  )
  return { view: input.view, membership: input.membership, statuses }
}

const DUTY: BuildDutyView = {
  name: 'shop',
  repository: 'https://git.example.org/shop.git',
  branch: 'main',
  file: 'cell.yaml',
  everyMs: 10_000,
  outcome: null,
}
const THREE = { a: {}, b: {}, c: {} }
const stewardName = (input: DutyInput): string | undefined => {
  const id = buildStewardOf('shop', input)
  return input.view.members.find((member) => member.id === id)?.name
}

describe('steward of a build duty', () => {
  const usual = stewardName(inputOf(THREE)) ?? ''
  const others = Object.keys(THREE).filter((name) => name !== usual)

  it('is one of the members that can build, and another one when it dies', () => {
    assert.ok(usual in THREE)
    const next = stewardName(inputOf({ ...THREE, [usual]: { state: 'dead' } }))
    assert.ok(next !== undefined && next !== usual)
  })

  it('is nobody without git, who drains, or who is no operator', () => {
    const lacking = inputOf(THREE, { [usual]: { lack: 'has no git' } })
    assert.ok(others.includes(stewardName(lacking) ?? ''))
    assert.ok(others.includes(stewardName(inputOf({ ...THREE, [usual]: { draining: true } })) ?? ''))
    const input = inputOf(THREE)
    const members = input.view.members.map((member) => ({ ...member, role: 'runner' as const }))
    const runners = { ...input, view: { ...input.view, members } }
    assert.equal(buildStewardOf('shop', runners), null)
    assert.equal(buildLackOf(runners, idOf('a')), 'is a runner and may not edit')
    const nobody = inputOf(THREE, { a: { lack: 'has no git' }, b: { lack: 'x' }, c: { lack: 'y' } })
    assert.deepEqual(stateOfDuty(nobody, DUTY), {
      state: 'hindered',
      reason: 'no peer can build: a has no git, b x, c y',
    })
  })

  it('stays whoever builds already, although another one would be', () => {
    const [other = ''] = others
    assert.equal(stewardName(inputOf(THREE, { [other]: { progress: 'building' } })), other)
    assert.equal(
      stewardName(inputOf({ ...THREE, [other]: { state: 'dead' } }, { [other]: { progress: 'building' } })),
      usual,
    )
  })

  it('is somebody else than who is hindered, as long as there is somebody else', () => {
    assert.ok(others.includes(stewardName(inputOf(THREE, { [usual]: { progress: 'hindered' } })) ?? ''))
    const all = Object.fromEntries(
      Object.keys(THREE).map((name) => [name, { progress: 'hindered' as const }]),
    )
    assert.equal(stewardName(inputOf(THREE, all)), usual)
  })

  it('says how a duty fares: by its steward’s word, else by the last outcome', () => {
    const failed = {
      ...DUTY,
      outcome: { commit: 'a'.repeat(40), version: '', kind: 'failed' as const, message: 'broke', output: [] },
    }
    assert.deepEqual(stateOfDuty(inputOf(THREE), DUTY), { state: 'watching', reason: '' })
    assert.deepEqual(stateOfDuty(inputOf(THREE), failed), { state: 'failed', reason: 'broke' })
    assert.equal(stateOfDuty(inputOf(THREE, { a: { progress: 'building' } }), failed).state, 'building')
  })
})
