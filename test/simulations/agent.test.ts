// The agent under the simulator: whole clusters in one process, on one clock, from a seed. Stories first; what each
// ends with is checked on every running peer.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell, removeCell, scale } from '../../crdt/edits.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { serviceIdOf } from '../../lib/ids.ts'
import { sha256Hex } from '../../lib/hash.ts'
import { agentOf, World } from '../../simulations/world.ts'
import type { Machine } from '../../simulations/machine.ts'

const spec = (name: string, over: Partial<ServiceSpec> = {}): ServiceSpec => ({
  ...SERVICE_DEFAULTS,
  environment: {},
  ports: { http: 0 },
  dependsOn: {},
  uses: [],
  constraints: [],
  name,
  command: ['serve', 'ready=50ms'],
  replicas: 3,
  ...over,
})

const apply = async (world: World, machine: Machine, ...services: ServiceSpec[]): Promise<void> => {
  const agent = agentOf(machine)
  const { edits } = applyCell(agent.snapshot().view, { name: 'shop', services })
  await world.finish(agent.edit(edits, { message: 'apply shop', at: 0 }))
}

/** Slots that run as wanted, each with the machine it runs on, over all living machines. */
const running = (world: World): readonly string[] =>
  world.machines
    .flatMap(({ name, processes }) =>
      processes
        .processes()
        .filter(({ exit }) => exit === null)
        .map(({ record }) => `${record.slot} on ${name}`),
    )
    .sort()

const slotsOf = (placed: readonly string[]): readonly string[] => placed.map((one) => one.split(' ')[0] ?? '')

describe('agent, simulated', () => {
  it('forms a cluster, takes an edit anywhere and runs each slot once', async () => {
    const world = new World({ seed: 'form' })
    const [, second] = await world.cluster(5)
    assert.ok(second)
    await apply(world, second, spec('web'), spec('api', { replicas: 2 }))
    await world.settle()
    assert.deepEqual(slotsOf(running(world)), [
      'shop/api/0',
      'shop/api/1',
      'shop/web/0',
      'shop/web/1',
      'shop/web/2',
    ])
  })

  it('L2: does nothing and writes nothing once it has converged', async () => {
    const world = new World({ seed: 'quiet' })
    const machines = await world.cluster(3)
    const [first] = machines
    assert.ok(first)
    await apply(world, first, spec('web'))
    await world.settle()
    // Coalesced reports of the last readiness are out after two seconds.
    await world.run(2000)
    const before = machines.map((machine) => agentOf(machine).counters())
    await world.run(60_000)
    for (const [at, machine] of machines.entries()) {
      const now = agentOf(machine).counters()
      assert.equal(now.actions, before[at]?.actions)
      assert.equal(now.storeAppends, before[at]?.storeAppends)
      assert.equal(now.statusDeltasOut, before[at]?.statusDeltasOut)
    }
  })

  it('replaces the slots of a machine that lost power, and moves nothing else', async () => {
    const world = new World({ seed: 'power' })
    const machines = await world.cluster(5)
    const [first, , third] = machines
    assert.ok(first && third)
    await apply(world, first, spec('web', { replicas: 5 }))
    await world.settle()
    const before = running(world)
    third.powerOff()
    await world.settle()
    const after = running(world)
    assert.deepEqual(slotsOf(after), slotsOf(before))
    const stayed = before.filter((one) => !one.endsWith(' on m2'))
    assert.deepEqual(
      stayed.filter((one) => !after.includes(one)),
      [],
    )
  })

  it('leaves processes of a killed peer alone when it is back within reschedule_after', async () => {
    const world = new World({ seed: 'restart' })
    const [first, second] = await world.cluster(3)
    assert.ok(first && second)
    await apply(world, first, spec('web', { rescheduleAfterMs: 20_000 }))
    await world.settle()
    const before = running(world)
    second.kill()
    await world.run(5000)
    await world.finish(second.start())
    await world.settle()
    assert.deepEqual(running(world), before)
    const pids = world.machines.flatMap(({ processes }) =>
      processes.processes().map(({ record }) => record.runs),
    )
    assert.deepEqual(new Set(pids), new Set([1]))
  })

  it('S16: the smaller side of a split takes nothing over; after the heal both agree and surplus is gone', async () => {
    const world = new World({ seed: 'split' })
    const machines = await world.cluster(5)
    const [first, second] = machines
    assert.ok(first && second)
    await apply(world, first, spec('web', { replicas: 5 }))
    await world.settle()
    const ids = machines.map(({ signer }) => signer.member)
    world.network.partition([ids.slice(0, 2), ids.slice(2)])
    await world.run(9000)
    assert.notEqual(agentOf(first).snapshot().membership.brakedUntilMs, null)
    world.network.heal()
    await world.settle()
    assert.deepEqual(slotsOf(running(world)), [
      'shop/web/0',
      'shop/web/1',
      'shop/web/2',
      'shop/web/3',
      'shop/web/4',
    ])
  })

  it('S2: edits on both sides of a split both survive', async () => {
    const world = new World({ seed: 'both' })
    const machines = await world.cluster(4)
    const [first, , , last] = machines
    assert.ok(first && last)
    await apply(world, first, spec('web', { replicas: 2 }), spec('api', { replicas: 1 }))
    await world.settle()
    const ids = machines.map(({ signer }) => signer.member)
    world.network.partition([ids.slice(0, 2), ids.slice(2)])
    await world.run(1000)
    const edit = async (machine: Machine, service: string, replicas: number): Promise<void> => {
      const agent = agentOf(machine)
      const edits = scale(agent.snapshot().view, serviceIdOf('shop', service), replicas)
      await world.finish(agent.edit(edits, { message: `scale ${service}`, at: 0 }))
    }
    await edit(first, 'web', 4)
    await edit(last, 'api', 3)
    world.network.heal()
    await world.settle()
    const { services } = agentOf(first).snapshot().view
    assert.deepEqual(
      services.map(({ name, replicas }) => [name, replicas]),
      [
        ['api', 3],
        ['web', 4],
      ],
    )
  })

  it('S8: never falls below the replicas during a deploy of a healthy release', async () => {
    const world = new World({ seed: 'deploy' })
    const [first] = await world.cluster(3)
    assert.ok(first)
    await apply(world, first, spec('web', { replicas: 6 }))
    await world.settle()
    await apply(world, first, spec('web', { replicas: 6, environment: { RELEASE: 'two' } }))
    const readyNow = (): number =>
      world.machines.reduce(
        (sum, { processes }) =>
          sum +
          processes.processes().filter(({ record }) => processes.isWell(record.instance) && !record.draining)
            .length,
        0,
      )
    let least = Number.POSITIVE_INFINITY
    await world.simulator.until(
      'the new release is everywhere',
      () => {
        least = Math.min(least, readyNow())
        return world.machines.every(({ processes }) =>
          processes.processes().every(({ record }) => record.definition.environment['RELEASE'] === 'two'),
        )
      },
      120_000,
    )
    assert.ok(least >= 6, `only ${least} were ready`)
  })

  it('S11: a peer that was away for a month brings nothing back', async () => {
    const world = new World({ seed: 'away' })
    const [first, second, third] = await world.cluster(3)
    assert.ok(first && second && third)
    await apply(world, first, spec('old'))
    await world.settle()
    third.powerOff()
    await world.settle()
    const agent = agentOf(first)
    await world.finish(agent.edit(removeCell(agent.snapshot().view, 'shop'), { message: 'rm shop', at: 0 }))
    await world.settle()
    await world.run(3_600_000)
    await world.finish(third.start())
    await world.settle()
    assert.deepEqual(running(world), [])
    assert.deepEqual(agentOf(third).snapshot().view.services, [])
  })

  it('gives the same history for the same seed', async () => {
    const history = async (): Promise<string> => {
      const lines: string[] = []
      const world = new World({
        seed: 'same',
        trace: (atMs, machine, line) => lines.push(`${atMs} ${machine} ${line}`),
      })
      const [first, second] = await world.cluster(4)
      assert.ok(first && second)
      await apply(world, first, spec('web'))
      await world.settle()
      second.powerOff()
      await world.settle()
      return sha256Hex(lines.join('\n'))
    }
    assert.equal(await history(), await history())
  })
})
