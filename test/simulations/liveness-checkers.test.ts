// Each checker of liveness fires on a violation made for it, and on nothing before: a referee that never whistled proves nothing.
// Most violations are made behind the peers’ backs, on the machines themselves; the rest by planted bugs.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { InstanceId, ReleaseId, SlotId } from '../../lib/ids.ts'
import { agreement } from '../../simulations/checkers/l01-agreement.ts'
import { detection } from '../../simulations/checkers/l03-detection.ts'
import { refutation } from '../../simulations/checkers/l03-refutation.ts'
import { fulfilment } from '../../simulations/checkers/l02-fulfilment.ts'
import { flapping } from '../../simulations/checkers/l04-flapping.ts'
import { moves } from '../../simulations/checkers/l04-moves.ts'
import { takeOver } from '../../simulations/checkers/l04-take-over.ts'
import { rollouts } from '../../simulations/checkers/l05-rollouts.ts'
import { backoff } from '../../simulations/checkers/l06-backoff.ts'
import type { Checker } from '../../simulations/checkers/checker.ts'
import { FAULTS } from '../../simulations/faults/registry.ts'
import { Referee } from '../../simulations/referee.ts'
import { Scene } from '../../simulations/scene.ts'
import { agentOf, World } from '../../simulations/world.ts'
import { holding, looks, stage } from './checker-stage.ts'

describe('liveness checkers', () => {
  it('L1: different views in a calm cluster', async () => {
    const { scene, first } = await stage()
    await scene.world.run(60_000)
    const checker = agreement()
    assert.deepEqual(looks(checker, scene), [])
    const snapshot = agentOf(first).snapshot()
    const view = { ...snapshot.view, digest: 'other' as typeof snapshot.view.digest }
    agentOf(first).snapshot = () => ({ ...snapshot, view })
    assert.deepEqual(looks(checker, scene), [], 'it may be an edit of a peer’s own')
    await scene.world.run(5000)
    assert.match(looks(checker, scene).join(), /2 different views/)
  })

  it('L3: a running member that is not alive for all', async () => {
    const { scene, first, second } = await stage()
    await scene.world.run(60_000)
    const checker = detection()
    assert.deepEqual(looks(checker, scene), [])
    // Behind the scene's back, so that it still counts as calm.
    scene.world.network.cut(first.signer.member, second.signer.member)
    await scene.world.run(10_000)
    assert.match(looks(checker, scene).join(), /m0 sees m1 dead/)
  })

  it('L3: a death on the word of one, and one that nobody sees', async () => {
    const world = new World({ seed: 'detection' })
    const [first, second, third] = await world.cluster(4)
    assert.ok(first && second && third)
    const scene = new Scene({
      world,
      referee: new Referee([], () => undefined),
      faults: FAULTS,
      say: () => undefined,
    })
    const checker = detection()
    looks(checker, scene)
    await world.run(60_000)
    const before = agentOf(first).snapshot()
    const lost = third.signer.member
    const alerts = new Map([[lost, { incarnation: 1, silent: true }]])
    const accuser = before.statuses.get(second.signer.member)
    assert.ok(accuser)
    const statuses = new Map([...before.statuses, [second.signer.member, { ...accuser, alerts }] as const])
    const members = before.membership.members.map((one) =>
      one.id === lost ? { ...one, state: 'dead' as const } : one,
    )
    agentOf(first).snapshot = () => ({ ...before, statuses, membership: { ...before.membership, members } })
    // At the first look a retraction may have arrived this moment.
    assert.doesNotMatch(looks(checker, scene).join(), /on the word of one/)
    assert.match(looks(checker, scene).join(), /m0 holds m2 for dead on the word of one observer/)
    // Two said so before one of them began anew (f1-553).
    const fourth = before.view.members.find(
      ({ id }) => ![before.self, lost, second.signer.member].includes(id),
    )
    assert.ok(fourth)
    const other = before.statuses.get(fourth.id)
    assert.ok(other)
    const both = new Map([...statuses, [fourth.id, { ...other, alerts }] as const])
    const dead = { ...before, membership: { ...before.membership, members } }
    agentOf(first).snapshot = () => ({ ...dead, statuses: both })
    assert.doesNotMatch(looks(checker, scene).join(), /on the word of one/)
    agentOf(first).snapshot = () => ({ ...dead, statuses })
    looks(checker, scene)
    assert.doesNotMatch(looks(checker, scene).join(), /on the word of one/)
    agentOf(first).snapshot = () => before
    third.powerOff()
    looks(checker, scene)
    await world.run(16_000)
    assert.match(looks(checker, scene).join(), /m0 sees m2 alive, which has been down for 15 s/)
  })

  it('L3: a member that knows of an alert on it, and lets it stand', async () => {
    const { scene, first, second } = await stage()
    const checker = refutation()
    looks(checker, scene)
    await scene.world.run(70_000)
    assert.deepEqual(looks(checker, scene), [])
    const agent = agentOf(first)
    const before = agent.snapshot()
    const accuser = before.statuses.get(second.signer.member)
    assert.ok(accuser)
    const alerts = new Map([[first.signer.member, { incarnation: 9e9, silent: true }]])
    const statuses = new Map([...before.statuses, [second.signer.member, { ...accuser, alerts }] as const])
    agent.snapshot = () => ({ ...before, statuses })
    assert.deepEqual(looks(checker, scene), [])
    await scene.world.run(4000)
    assert.deepEqual(looks(checker, scene), [], 'it may be about to')
    await scene.world.run(1000)
    assert.match(looks(checker, scene).join(), /m0 has known for 5 s that it is accused/)
  })

  it('L2: a slot that is not well, and nobody says so', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const checker = fulfilment()
    await at.scene.world.run(70_000)
    assert.deepEqual(looks(checker, at.scene), [])
    machine.processes.listen(null)
    machine.processes.kill(process.record.instance)
    assert.match(looks(checker, at.scene).join(), /is not well anywhere after 60 calm seconds/)
  })

  it('L4: a slot taken over before its time', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const other = machine === at.first ? at.second : at.first
    const checker = takeOver()
    looks(checker, at.scene)
    await at.scene.world.run(40_000)
    const { spawned } = checker
    assert.deepEqual(spawned?.(at.scene, other, process.record), [])
    const snapshot = agentOf(other).snapshot()
    const dead = (forMs: number) => ({
      ...snapshot,
      membership: {
        ...snapshot.membership,
        members: snapshot.membership.members.map((one) =>
          one.id === machine.signer.member
            ? { ...one, state: 'dead' as const, sinceMs: snapshot.nowMs - forMs }
            : one,
        ),
      },
    })
    agentOf(other).snapshot = () => dead(5000)
    assert.deepEqual(spawned?.(at.scene, other, process.record), [])
    agentOf(other).snapshot = () => dead(4000)
    assert.match(
      spawned?.(at.scene, other, process.record).join() ?? '',
      /over 4000 ms after the death of its holder/,
    )
  })

  it('L4: a loss that would move more than what is lost', async () => {
    const { scene, first, second } = await stage()
    const slots = Array.from({ length: 4 }, (_, seat) => `shop/web/${seat}` as SlotId)
    const many = (checker: Checker) => Array.from({ length: 40 }, () => looks(checker, scene)).flat()
    assert.deepEqual(many(moves()), [])
    // As long as all are there everything is on one; then it is on another.
    const restless = moves(({ self, membership }) => {
      const calm = membership.members.every(({ state }) => state === 'alive')
      const other = self === first.signer.member ? second : first
      return new Map(slots.map((slot) => [slot, calm ? self : other.signer.member]))
    })
    assert.match(many(restless).join(), /would move 4 slots that m\d does not hold/)
  })

  it('L5: a rollout that stands still', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const checker = rollouts()
    await at.scene.world.run(100_000)
    assert.deepEqual(looks(checker, at.scene), [])
    const release = 'old' as ReleaseId
    const instance = `${process.record.slot}@old` as InstanceId
    machine.processes.spawn({ ...process.record, release, instance, nonce: 'old' })
    assert.match(looks(checker, at.scene).join(), /the rollout of shop\/web stands still: shop\/web\/\d@old/)
  })

  it('L4: a move in a calm cluster', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const { spawned } = flapping()
    assert.deepEqual(spawned?.(at.scene, machine, process.record), [])
    await at.scene.world.run(200_000)
    assert.deepEqual(spawned?.(at.scene, machine, process.record), [], 'it ran here before')
    const instance = 'shop/web/0@moved' as InstanceId
    assert.match(spawned?.(at.scene, machine, { ...process.record, instance }).join() ?? '', /moves to m\d/)
  })

  it('L6: restarts without a backoff', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const { spawned } = backoff()
    const wrongs = Array.from({ length: 11 }, () => spawned?.(at.scene, machine, process.record) ?? [])
    assert.deepEqual(wrongs.slice(0, 10).flat(), [])
    assert.match(wrongs[10]?.join() ?? '', /started 11 times in ten seconds/)
  })
})
