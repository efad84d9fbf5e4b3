// Packages over the simulated network: the very keeper and fetch machine of production, on one clock, while members die and
// links are cut.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell } from '../../crdt/edits.ts'
import { putPackage } from '../../crdt/edits-package.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { defined } from '../../lib/assert.ts'
import { sha256Hex } from '../../lib/hash.ts'
import type { ChunkDigest, MemberId, PackageDigest } from '../../lib/ids.ts'
import { seededRandom } from '../../lib/random.ts'
import { chunksOf, encodeManifest, measure, type Manifest } from '../../node/package/manifest.ts'
import type { Packages } from '../../node/package/store.ts'
import type { Machine } from '../../simulations/machine.ts'
import { MemoryPackages } from '../../simulations/package-store.ts'
import { agentOf, World } from '../../simulations/world.ts'

const CHUNK_BYTES = 4096
/** For everything that a test waits for, in the world's own time. */
const LIMIT_MS = 300_000

const stores = new Map<MemberId, MemoryPackages>()
const storeOf = (member: MemberId): MemoryPackages => {
  const store = stores.get(member) ?? new MemoryPackages()
  stores.set(member, store)
  return store
}

const worldOf = (seed: string): World => {
  stores.clear()
  return new World({ seed, composition: { packages: storeOf } })
}

/** A package of one file. */
const contentOf = (seed: string, count: number) => {
  const random = seededRandom(seed)
  const pieces = Array.from({ length: count }, () => random.bytes(CHUNK_BYTES))
  const chunks = pieces.map((bytes) => [sha256Hex(bytes) as ChunkDigest, bytes.length] as const)
  const manifest: Manifest = [
    { kind: 'file', path: 'weight', executable: false, bytes: count * CHUNK_BYTES, chunks },
  ]
  return { manifest, pieces, ...encodeManifest(manifest) }
}

const packagesOf = (machine: Machine): Packages => defined(agentOf(machine).packages, 'packages')

const push = async (
  world: World,
  machine: Machine,
  { bytes, pieces }: ReturnType<typeof contentOf>,
  copies: number,
): Promise<readonly MemberId[]> => {
  const packages = packagesOf(machine)
  const { digest, missing } = await world.finish(packages.begin(bytes))
  assert.equal(missing.length, pieces.length)
  for (const piece of pieces) await packages.take(sha256Hex(piece) as ChunkDigest, piece)
  return await world.finish(packages.secure(digest, copies, new AbortController().signal))
}

const listPackage = async (
  world: World,
  machine: Machine,
  content: ReturnType<typeof contentOf>,
): Promise<void> => {
  const agent = agentOf(machine)
  const listed = { ref: 'web@1', digest: content.digest, ...measure(content.manifest) }
  await world.finish(agent.edit(putPackage(agent.view(), listed), { message: 'push web@1', at: 0 }))
}

/** Lists it, and has a service run from it on all machines. */
const run = async (world: World, machine: Machine, content: ReturnType<typeof contentOf>): Promise<void> => {
  const agent = agentOf(machine)
  await listPackage(world, machine, content)
  const web = {
    ...SERVICE_DEFAULTS,
    environment: {},
    ports: {},
    dependsOn: {},
    uses: [],
    constraints: [],
    name: 'web',
    command: ['serve', 'ready=50ms'],
    package: 'web@1',
    mode: 'global' as const,
  }
  const { edits } = applyCell(agent.view(), { name: 'shop', services: [web] })
  await world.finish(agent.edit(edits, { message: 'apply shop', at: 0 }))
}

const holding = (world: World, digest: PackageDigest): number =>
  world.machines.filter(({ signer }) => storeOf(signer.member).unpacked().has(digest)).length

describe('packages, simulated', () => {
  it('are on so many members as was asked for before a push returns', async () => {
    const world = worldOf('copies')
    const [first] = await world.cluster(4)
    assert.ok(first !== undefined)
    const content = contentOf('copies', 50)
    const holders = await push(world, first, content, 3)
    assert.equal(holders.length, 3)
    for (const member of holders) assert.ok(storeOf(member).held().has(content.digest))
  })

  it('reach everybody that is to run from them, out of little more than one copy of the origin', async () => {
    const world = worldOf('swarm')
    const [first] = await world.cluster(8)
    assert.ok(first !== undefined)
    const content = contentOf('swarm', 400)
    await push(world, first, content, 1)
    await run(world, first, content)
    await world.settle(LIMIT_MS)
    assert.equal(holding(world, content.digest), 8)
    const { servedBytes } = packagesOf(first).counters()
    assert.ok(
      servedBytes <= 1.5 * content.pieces.length * CHUNK_BYTES,
      `${servedBytes} bytes left the origin`,
    )
  })

  it('reach everybody although the origin dies as soon as a copy exists, and links are cut meanwhile (L2)', async () => {
    for (const seed of ['a', 'b', 'c']) {
      const world = worldOf(`death ${seed}`)
      const machines = await world.cluster(5)
      const [first, second, third] = machines
      assert.ok(first !== undefined && second !== undefined && third !== undefined)
      const content = contentOf(seed, 120)
      const holders = await push(world, first, content, 2)
      const survivor = machines.find(
        ({ signer }) => signer !== first.signer && holders.includes(signer.member),
      )
      assert.ok(survivor !== undefined)
      await run(world, survivor, content)
      first.kill()
      const apart = machines.filter((machine) => machine !== first && machine !== survivor)[0]
      assert.ok(apart !== undefined)
      world.network.cut(apart.signer.member, survivor.signer.member)
      await world.run(5000)
      world.network.heal()
      await world.finish(first.start())
      await world.settle(LIMIT_MS)
      assert.equal(holding(world, content.digest), 5, seed)
    }
  })

  it('are copied again when a machine that had them is gone for longer than a restart takes, once', async () => {
    for (const seed of ['a', 'b', 'c']) {
      const world = worldOf(`gone ${seed}`)
      const machines = await world.cluster(5)
      const [first] = machines
      assert.ok(first !== undefined)
      const content = contentOf(seed, 40)
      const holders = await push(world, first, content, 2)
      await listPackage(world, first, content)
      const heldBy = (): readonly Machine[] =>
        machines.filter(
          ({ signer, agent }) => agent !== null && storeOf(signer.member).held().has(content.digest),
        )
      const lost = heldBy().find(({ signer }) => signer !== first.signer && holders.includes(signer.member))
      assert.ok(lost !== undefined)
      lost.kill()
      await world.run(10_000)
      assert.equal(heldBy().length, 1, 'whoever restarts is waited for')
      await world.run(40_000)
      assert.equal(heldBy().length, 2, seed)
      await world.finish(lost.start())
      await world.run(120_000)
      assert.equal(heldBy().length, 3, 'one took it, and nobody gives up what has room')
    }
  })

  it('come back where a chunk is damaged, from whoever has it whole', async () => {
    const world = worldOf('damage')
    const machines = await world.cluster(3)
    const [first, second] = machines
    assert.ok(first !== undefined && second !== undefined)
    const content = contentOf('damage', 30)
    await push(world, first, content, 3)
    const chunks = chunksOf(content.manifest).map(([chunk]) => chunk)
    for (const chunk of chunks.slice(0, 10)) storeOf(first.signer.member).damage(chunk)
    for (const chunk of chunks.slice(10, 20)) storeOf(second.signer.member).damage(chunk)
    await run(world, second, content)
    await world.settle(LIMIT_MS)
    assert.equal(holding(world, content.digest), 3)
  })
})
