// The hook before a release, with real peers and a real program: once wherever anybody can see that it ran, whatever happens
// to the peer that runs it, and again with its number where nobody can.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { RolloutsReply } from '../../node/serve/api/contract.ts'
import type { RolloutReply } from '../../node/serve/api/contract-rollout.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { applyOf, Fleet, idle, ready, until, type Peer } from './support/fleet.ts'

let fleet: Fleet
let peers: readonly Peer[]
/** Runs that began, as `RELEASE ATTEMPT PEER`. */
const begun = async (): Promise<readonly string[]> =>
  (await readFile(join(fleet.directory, 'begun'), 'utf8')).split('\n').filter((line) => line !== '')

/** A hook that says that it has begun, and ends when `gate` exists. */
const web = (gate: string, over: Partial<ServiceSpec> = {}): ServiceSpec =>
  idle('web', {
    replicas: 3,
    environment: { GATE: gate },
    preDeploy: {
      command: [
        'sh',
        '-c',
        `echo "$TUTTI_RELEASE $TUTTI_HOOK_ATTEMPT $TUTTI_PEER" >> ${fleet.directory}/begun; while [ ! -e ${fleet.directory}/${gate} ]; do sleep 0.1; done`,
      ],
      timeoutMs: 60_000,
    },
    ...over,
  })

const open = (gate: string): Promise<void> => writeFile(join(fleet.directory, gate), '')

const rolloutOf = async (peer: Peer): Promise<RolloutReply> => {
  const [rollout] = (await peer.get<RolloutsReply>('/v1/rollouts?service=e2e/web')).rollouts
  assert.ok(rollout !== undefined)
  return rollout
}

const done = (peer: Peer, release: string): Promise<RolloutReply> =>
  until(
    'the rollout is done',
    async () => {
      const rollout = await rolloutOf(peer)
      if (rollout.phase === 'done' && rollout.release === release) return rollout
      throw new Error(`${rollout.release} is ${rollout.phase}: ${rollout.reason}`)
    },
    60_000,
  )

/** Applies it, and waits until its hook has begun. */
const deploy = async (spec: ServiceSpec): Promise<{ release: string; steward: Peer; other: Peer }> => {
  const [first] = peers
  assert.ok(first !== undefined)
  const { releases } = await first.change(applyOf(spec))
  const release = releases?.['e2e/web']
  assert.ok(release !== undefined)
  const [line] = await until('the hook has begun', async () => {
    const lines = (await begun()).filter((each) => each.startsWith(release))
    return lines.length > 0 && lines
  })
  const name = line?.split(' ')[2]
  const steward = peers.find((peer) => peer.name === name)
  const other = peers.find((peer) => peer.name !== name)
  assert.ok(steward !== undefined && other !== undefined)
  return { release, steward, other }
}

before(async () => {
  fleet = await Fleet.create()
  await writeFile(join(fleet.directory, 'begun'), '')
  peers = await fleet.grow(3)
  await open('zero')
  const { release, other } = await deploy(web('zero'))
  await done(other, release)
})
after(() => fleet.close())

describe('the hook before a release', () => {
  it('is found again by its peer after a crash of it, and has run once, whoever was steward meanwhile', async () => {
    const { release, steward, other } = await deploy(web('one', { rescheduleAfterMs: 60_000 }))
    await steward.end('SIGKILL')
    await until('another one waits for it', async () => /which is dead/.test((await rolloutOf(other)).reason))
    // It ends while its peer is away: its supervisor writes down how.
    await open('one')
    await steward.up()
    await done(other, release)
    await ready(other, 'web', 3)
    await fleet.agree(peers)
    assert.deepEqual(
      (await begun()).filter((line) => line.startsWith(release)),
      [`${release} 1 ${steward.name}`],
    )
  })

  it('runs again with its number when its machine stays away, and never a third time', async () => {
    const { release, steward, other } = await deploy(web('two', { rescheduleAfterMs: 500 }))
    await steward.end('SIGKILL')
    const second = await until('it runs elsewhere', async () => {
      const line = (await begun()).find((each) => each.startsWith(`${release} 2 `))
      return line ?? false
    })
    assert.ok(!second.endsWith(steward.name))
    assert.equal((await rolloutOf(other)).open, 0)
    await open('two')
    await done(other, release)
    await steward.up()
    await fleet.agree(peers)
    assert.equal((await begun()).filter((line) => line.startsWith(release)).length, 2)
  })

  it('goes on while its rollout is paused, and is ended by an abort', async () => {
    const paused = await deploy(web('three'))
    const said = await paused.other.cli('rollout', 'pause', 'e2e/web')
    assert.equal(said.code, 0, said.stderr)
    await open('three')
    const resumed = await paused.other.cli('rollout', 'resume', 'e2e/web', '-w')
    assert.equal(resumed.code, 0, resumed.stderr)
    await done(paused.other, paused.release)
    assert.equal((await begun()).filter((line) => line.startsWith(paused.release)).length, 1)
    const aborted = await deploy(web('four'))
    assert.equal((await aborted.other.cli('rollout', 'abort', 'e2e/web')).code, 0)
    await done(aborted.other, paused.release)
    await fleet.agree(peers)
  })
})
