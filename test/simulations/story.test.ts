// Stories from fixed seeds: an operator and every fault the simulator knows, then a verdict. `npm run sim` tells others;
// a seed that found a bug stays here. The verdict itself is tested too, since a blind referee finds nothing.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { applyCell } from '../../crdt/edits.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { patched } from '../../simulations/mutants/loading.ts'
import { MUTANTS, plant } from '../../simulations/mutants/registry.ts'
import { play } from '../../simulations/play.ts'
import { playOrShrink } from '../../simulations/story.ts'
import { wrongNow } from '../../simulations/verdict.ts'
import { agentOf, World } from '../../simulations/world.ts'

const SEEDS = ['hedgehog', 'sparrow'] as const
const short = { peers: 4, minutes: 0.5 } as const

describe('stories', () => {
  for (const seed of SEEDS) {
    it(`ends well: ${seed}`, async () => {
      const { violations } = await play({ seed, ...short })
      assert.deepEqual(
        violations,
        [],
        `npm run sim -- ${seed} --peers ${short.peers} --minutes ${short.minutes}`,
      )
    })
  }

  it('has one history for one seed, and another for another', async () => {
    const hashes = await Promise.all(
      ['same', 'same', 'other'].map(async (seed) => (await play({ seed, peers: 3, minutes: 0.2 })).hash),
    )
    assert.equal(hashes[0], hashes[1])
    assert.notEqual(hashes[0], hashes[2])
  })

  it('has the same history in a process of its own, whatever other runs have left in the caches of this one', async () => {
    const { hash } = await play({ seed: 'same', peers: 3, minutes: 0.2 })
    const main = join(import.meta.dirname, '../../simulations/main.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [
      main,
      'same',
      '--peers',
      '3',
      '--minutes',
      '0.2',
    ])
    assert.match(stdout, new RegExp(`trace ${hash}`))
  })
})

describe('mutants', () => {
  it('S2: a disk that is never synced is caught at the first edit', async () => {
    const composition = plant('skip-fsync')
    assert.ok(composition)
    const { violations } = await play({
      seed: 'mutant',
      peers: 2,
      minutes: 0.1,
      faults: [],
      composition,
      hasty: true,
    })
    assert.match(violations[0] ?? '', /^S2: m0 acknowledged \w+ and does not have it on its disk$/)
  })

  it('S3: an actor used again is caught once a clone has written, and the failure shrinks to that', async () => {
    const composition = plant('reuse-actor')
    assert.ok(composition)
    const run = ['clone-1', '--peers', '2', '--minutes', '1', '--faults', 'disk-cloned,note,clock-jump']
    const { failure } = await playOrShrink(run, composition)
    assert.match(failure ?? '', /S3: actor \w+ wrote two changes/)
    assert.match(failure ?? '', /shrunk from \d+ steps to 1 /)
  })

  it('names one place that is there, in each patch', () => {
    for (const patch of MUTANTS.flatMap(({ patches = [] }) => patches)) {
      const source = readFileSync(new URL(`../../${patch.file}`, import.meta.url), 'utf8')
      assert.notEqual(patched(source, patch), source)
    }
  })
})

describe('verdict', () => {
  it('sees what is missing, doubled, unwanted, lost and blind', async () => {
    const world = new World({ seed: 'verdict' })
    const [first, second] = await world.cluster(2)
    assert.ok(first && second)
    const service = { ...SERVICE_DEFAULTS, name: 'web', command: ['serve'], replicas: 1 }
    const copy = { environment: {}, ports: {}, dependsOn: {}, uses: [], constraints: [] }
    const { edits } = applyCell(agentOf(first).snapshot().view, {
      name: 'shop',
      services: [{ ...service, ...copy }],
    })
    await world.finish(agentOf(first).edit(edits, { message: 'apply shop', at: 0 }))
    await world.settle()
    assert.deepEqual(wrongNow(world), [])

    const [holder, other] = first.processes.processes().length > 0 ? [first, second] : [second, first]
    const process = holder.processes.processes()[0]
    assert.ok(process)
    other.processes.spawn(process.record)
    assert.match(wrongNow(world).join(), /^L2: shop\/web\/0 runs on m\d and m\d$/)
    other.processes.kill(process.record.instance)
    other.processes.forget(process.record.instance)

    const stranger = {
      ...process.record,
      instance: `${process.record.instance}0` as typeof process.record.instance,
      release: 'ffffffffffff' as typeof process.record.release,
    }
    other.processes.spawn(stranger)
    assert.match(wrongNow(world).join(), /^S10: m\d keeps shop\/web\/0@\w+, which nothing wants$/)
    other.processes.kill(stranger.instance)
    other.processes.forget(stranger.instance)

    holder.processes.kill(process.record.instance)
    assert.deepEqual(wrongNow(world), ['L2: shop/web/0 neither runs nor is reported'])
    holder.powerOff()
    assert.deepEqual(wrongNow(world), ['L1: not every peer runs'])
  })
})
