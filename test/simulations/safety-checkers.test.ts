// Each checker of safety fires on a violation made for it, and on nothing before: a referee that never whistled proves nothing.
// Most violations are made behind the peers’ backs, on the machines themselves; the rest by planted bugs.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChangeHash, InstanceId, MemberId, ReleaseId, ServiceId, SlotId } from '../../lib/ids.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { Checker } from '../../simulations/checkers/checker.ts'
import { convergence } from '../../simulations/checkers/s01-convergence.ts'
import { acknowledgedEdits } from '../../simulations/checkers/s02-acknowledged.ts'
import { actorReuse } from '../../simulations/checkers/s03-actors.ts'
import { validity } from '../../simulations/checkers/s04-validity.ts'
import { placementIsPure } from '../../simulations/checkers/s05-placement.ts'
import { readable, versions } from '../../simulations/checkers/s05-versions.ts'
import { ownHands } from '../../simulations/checkers/s06-own-hands.ts'
import { capacity } from '../../simulations/checkers/s07-capacity.ts'
import { availability } from '../../simulations/checkers/s08-availability.ts'
import { surge } from '../../simulations/checkers/s08-surge.ts'
import { orphans } from '../../simulations/checkers/s10-orphans.ts'
import { deletion } from '../../simulations/checkers/s11-deletion.ts'
import { membership } from '../../simulations/checkers/s12-membership.ts'
import { bounded } from '../../simulations/checkers/s14-bounded.ts'
import { isolation } from '../../simulations/checkers/s15-isolation.ts'
import { removeService } from '../../crdt/edits.ts'
import { signRecord, encodeRecord } from '../../crdt/record.ts'
import { Agent } from '../../node/agent.ts'
import { agentOf } from '../../simulations/world.ts'
import { holding, looks, stage } from './checker-stage.ts'

describe('safety checkers', () => {
  it('S1: one history, two views', async () => {
    const { scene, first } = await stage()
    const checker = convergence()
    assert.deepEqual(looks(checker, scene), [])
    const agent = agentOf(first)
    const view = { ...agent.view(), digest: 'other' as ReturnType<typeof agent.view>['digest'] }
    agent.view = () => view
    assert.match(looks(checker, scene).join(), /hold the same changes and have different views/)
  })

  it('S2: acknowledged and not on the disk; acknowledged and gone', async () => {
    const { scene, first, second } = await stage()
    const checker = acknowledgedEdits()
    const [edit] = scene.acknowledged
    assert.ok(edit && checker.acknowledged && checker.losing && checker.atRest)
    assert.deepEqual(await checker.acknowledged(scene, first, edit.change), [])
    assert.deepEqual(checker.atRest(scene), [])
    const lost = 'f'.repeat(64) as ChangeHash
    assert.match((await checker.acknowledged(scene, first, lost)).join(), /does not have it on its disk/)
    scene.acknowledged.push({ ...edit, change: lost })
    assert.equal(checker.atRest(scene).length, 2)
    // What the last disk held is excused with that disk; what another one holds is not.
    await checker.losing(scene, second)
    assert.deepEqual(
      scene.acknowledged.map(({ excused }) => excused),
      [false, true],
    )
    assert.deepEqual(checker.atRest(scene), [])
  })

  it('S3: two changes of one actor with one seq', async () => {
    const { scene, first } = await stage()
    const checker = actorReuse()
    const cluster = first.origin?.cluster
    assert.ok(cluster && checker.kept)
    const record = (hash: string) => {
      const change = { actor: 'a'.repeat(32), seq: 7, hash, bytes: new Uint8Array() }
      const signed = signRecord(first.signer, cluster, change as Parameters<typeof signRecord>[2])
      return [{ kind: 'intent' as const, bytes: encodeRecord(signed) }]
    }
    assert.deepEqual(checker.kept(scene, first, record('1'.repeat(64))), [])
    assert.deepEqual(checker.kept(scene, first, record('1'.repeat(64))), [])
    assert.match(checker.kept(scene, first, record('2'.repeat(64))).join(), /two changes with seq 7/)
  })

  it('S4: a forged change held; a forged message passed on', async () => {
    const { scene, first } = await stage()
    const checker = validity()
    const bytes = Uint8Array.of(1, 2, 3)
    assert.ok(checker.forwarded)
    assert.deepEqual(checker.forwarded(scene, first.signer.member, bytes), [])
    scene.forged.add(sha256Hex(bytes))
    assert.deepEqual(checker.forwarded(scene, first.signer.member, bytes), ['m0 passed on what is forged'])
    assert.deepEqual(looks(checker, scene), [])
    scene.forged.add(scene.acknowledged[0]?.change ?? '')
    assert.equal(looks(checker, scene).length, 2)
  })

  it('S5: a placement that depends on the order of its facts', async () => {
    const { scene } = await stage()
    const slot = 'shop/web/0' as SlotId
    const many = (checker: Checker) => Array.from({ length: 40 }, () => looks(checker, scene)).flat()
    assert.deepEqual(many(placementIsPure()), [])
    const unsorted = placementIsPure(({ statuses }) => new Map([[slot, [...statuses.keys()][0] ?? null]]))
    assert.match(many(unsorted).join(), /by the order of its facts/)
    const selfish = placementIsPure(({ self }) => new Map([[slot, self]]))
    assert.match(many(selfish).join(), /where another member would not/)
  })

  it('S4, S5: an older peer in a cluster that does not act as one', async () => {
    const { scene, first, second } = await stage()
    const many = (checker: Checker) => [
      ...Array.from({ length: 20 }, () => looks(checker, scene)).flat(),
      ...(checker.atRest?.(scene) ?? []),
    ]
    await scene.world.run(60_000)
    assert.deepEqual(many(versions()), [])
    assert.deepEqual(many(readable()), [])
    // Behind everybody's back: nobody was told.
    second.version = 'older'
    assert.match(many(versions()).join(), /m0 acts on placement version 2, which not every peer speaks/)
    second.version = 'present'
    const agent = agentOf(second)
    const sound = () => Agent.prototype.snapshot.call(agent)
    const before = sound()
    const services = before.view.services.map((service) => ({ ...service, constraints: ['node.name == m1'] }))
    agent.snapshot = () => ({ ...before, view: { ...before.view, services } })
    assert.match(many(versions()).join(), /m1 and m0 know the same, and place slots differently/)
    agent.snapshot = sound
    await scene.world.finish(
      scene.edit(first, 'isolate', ({ services: list }) =>
        list.flatMap(({ id }) => [{ container: 'services' as const, key: `${id}/1/pidsMax`, value: 100 }]),
      ),
    )
    await scene.world.settle()
    assert.deepEqual(many(readable()), [])
    second.version = 'older'
    assert.match(many(readable()).join(), /m1 runs an older version and was given pidsMax of shop\/web/)
  })

  it('S6: a start on a machine whose peer does not run', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const { spawned } = ownHands()
    assert.deepEqual(spawned?.(at.scene, machine, process.record), [])
    machine.kill()
    assert.match(spawned?.(at.scene, machine, process.record).join() ?? '', /whose peer does not run/)
  })

  it('S7: more reserved than there is', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const { spawned } = capacity()
    assert.deepEqual(spawned?.(at.scene, machine, process.record), [])
    const record = { ...process.record, instance: 'shop/huge/0@1' as InstanceId, cpusMilli: 9000 }
    machine.processes.spawn(record)
    assert.match(
      spawned?.(at.scene, machine, record).join() ?? '',
      /4000 thousandths of a cpu and 9\d+ reserved/,
    )
  })

  it('S8: the only ready instance of a slot ended in a calm cluster', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const { ending } = availability()
    assert.deepEqual(ending?.(at.scene, machine, process.record, 'drain'), [], 'not calm yet')
    await at.scene.world.run(30_000)
    assert.match(ending?.(at.scene, machine, process.record, 'drain').join() ?? '', /the only ready instance/)
    const other = machine === at.first ? at.second : at.first
    other.processes.spawn({ ...process.record, nonce: 'another' })
    await at.scene.world.run(1000)
    assert.deepEqual(ending?.(at.scene, machine, process.record, 'drain'), [])
  })

  it('S8: more slots that change at once than may', async () => {
    const at = await stage()
    const { scene, first, second } = at
    await scene.world.run(30_000)
    const { spawned } = surge()
    const living = [first, second].flatMap((machine) =>
      machine.processes.processes().map(({ record }) => ({ machine, record })),
    )
    const wrongs = living.map(({ machine, record }) => {
      // The old one of its slot, behind everybody's back, and the wanted one as if it had just begun.
      const old = { ...record, release: 'old' as ReleaseId, instance: `${record.slot}@old` as InstanceId }
      machine.processes.spawn({ ...old, nonce: `old ${record.slot}` })
      const definition = { ...record.definition, command: ['serve', 'ready=never'] }
      machine.processes.disarm(record.instance)
      machine.processes.kill(record.instance)
      machine.processes.spawn({ ...record, definition, nonce: `new ${record.slot}` })
      return spawned?.(scene, machine, record) ?? []
    })
    assert.deepEqual(wrongs[0], [], 'one at a time may')
    assert.match(wrongs[1]?.join() ?? '', /2 slots of shop\/web change at once, and 1 may/)
  })

  it('S8: a turn that begins at the very moment at which the one before is ready is in order (f1-375)', async () => {
    const { scene, first, second } = await stage()
    await scene.world.run(30_000)
    const { spawned } = surge()
    const living = [first, second].flatMap((machine) =>
      machine.processes.processes().map(({ record }) => ({ machine, record })),
    )
    for (const { machine, record } of living) {
      const old = { ...record, release: 'old' as ReleaseId, instance: `${record.slot}@old` as InstanceId }
      machine.processes.spawn({ ...old, nonce: `old ${record.slot}` })
      machine.processes.disarm(record.instance)
      machine.processes.kill(record.instance)
      machine.processes.spawn({ ...record, nonce: `new ${record.slot}` })
      assert.deepEqual(spawned?.(scene, machine, record), [])
      await scene.world.run(50)
    }
  })

  it('S10: a process that its peer does not know, and a child that outlives its leader', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const checker = orphans()
    assert.deepEqual(looks(checker, at.scene), [])
    const definition = { ...process.record.definition, command: ['serve', 'forks'] }
    const instance = 'shop/web/9@1' as InstanceId
    machine.processes.spawn({ ...process.record, instance, definition, nonce: 'stray' })
    assert.match(looks(checker, at.scene).join(), /runs and its peer does not know it/)
    machine.processes.listen(null)
    machine.processes.kill(instance)
    assert.match(looks(checker, at.scene).join(), /a child of shop\/web\/9@1 outlives it/)
  })

  it('S10: a process that had ended is adopted', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    machine.processes.listen(null)
    machine.processes.kill(process.record.instance)
    await at.scene.world.run(10)
    const checker = orphans()
    assert.deepEqual(looks(checker, at.scene), [], 'the peers are seen for the first time')
    assert.match(looks(checker, at.scene).join(), /has adopted shop\/web\/\d@\w+, which had ended/)
  })

  it('S11: what was deleted is there again', async () => {
    const { scene, first } = await stage()
    const checker = deletion()
    const before = agentOf(first).view()
    const service = 'shop/web' as ServiceId
    await scene.world.finish(scene.edit(first, 'rm', (view) => removeService(view, service)))
    await scene.world.settle()
    assert.deepEqual(looks(checker, scene), [])
    agentOf(first).view = () => before
    assert.match(looks(checker, scene).join(), /m0: shop\/web was deleted in generation 1 and is alive in 1/)
  })

  it('S12: a removed member is still heard', async () => {
    const { scene, first, second } = await stage()
    const { delivered } = membership()
    const [from, to] = [second.signer.member, first.signer.member]
    assert.deepEqual(delivered?.(scene, from, to), [])
    const view = { ...agentOf(first).view(), removed: [from] }
    agentOf(first).view = () => view
    assert.deepEqual(delivered?.(scene, from, to), [], 'the streams are being cut')
    await scene.world.run(1000)
    assert.deepEqual(delivered?.(scene, from, to), ['m0 still hears m1, which was removed'])
  })

  it('S14: a disk that grows without bound', async () => {
    const { scene, first } = await stage()
    const checker = bounded()
    assert.deepEqual(looks(checker, scene), [])
    first.disk.put('log', new Uint8Array(32 * 1024 * 1024))
    assert.match(looks(checker, scene).join(), /m0 uses \d+ bytes/)
  })

  it('S14: a status of nobody who is a member', async () => {
    const { scene, first, second } = await stage()
    const checker = bounded()
    const snapshot = agentOf(first).snapshot()
    const status = snapshot.statuses.get(second.signer.member)
    assert.ok(status)
    const statuses = new Map([...snapshot.statuses, ['stranger' as MemberId, status] as const])
    agentOf(first).snapshot = () => ({ ...snapshot, statuses })
    assert.deepEqual(looks(checker, scene), ['m0 keeps statuses of 1 strangers'])
  })

  it('S15: an end that no plan follows', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const checker = isolation()
    const before = agentOf(machine).snapshot()
    machine.processes.listen(null)
    machine.processes.kill(process.record.instance)
    agentOf(machine).snapshot = () => ({ ...before, local: [] })
    const wrongs = [1, 2, 3, 4].map(() => looks(checker, at.scene).length)
    assert.deepEqual(wrongs, [0, 0, 1, 1])
  })

  it('S15: an end that nobody notices', async () => {
    const at = await stage()
    const { machine, process } = holding(at)
    const checker = isolation()
    machine.processes.listen(null)
    machine.processes.kill(process.record.instance)
    const wrongs = [1, 2, 3, 4].map(() => looks(checker, at.scene).length)
    assert.deepEqual(wrongs, [0, 0, 1, 1])
  })
})
