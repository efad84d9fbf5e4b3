// Quorum slots with real peers on hosts of their own (network namespaces): one process at a time whatever the network
// does, ended by its watchdog when its peer cannot renew the lease, and given tokens that only rise (S9, L7). Every run
// writes down its beginning and its beats in one file that all hosts share, by the one clock of this machine.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { HOLD_MS, KILL_MS, LEASE_MS } from '../../node/plan/lease/terms.ts'
import { assertAlone, beater, runsIn, type Run } from './support/beats.ts'
import { applyOf, service, until, withFleet, type Peer } from './support/fleet.ts'
import { netbedMissing, withLand } from './support/netbed.ts'

const missing = await netbedMissing()
if (missing !== null) process.stderr.write(`SKIPPED: quorum slots are not tested: ${missing}\n`)

/** Time for voters that have just started, a change of the voters, a lease, a start on a busy machine. */
const SETTLE_MS = 60_000

const lock = (file: string): ReturnType<typeof applyOf> =>
  applyOf(
    service('lock', beater(file), {
      onPartition: 'quorum',
      replicas: 1,
      stopGraceMs: 300,
      rescheduleAfterMs: 1000,
      restart: { condition: 'any', delayMs: 100, delayMaxMs: 1000, attemptsMax: null, windowMs: 10_000 },
    }),
  )

const withFile = async (scenario: (file: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'tutti-quorum-'))
  try {
    await scenario(join(folder, 'runs'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const running = async (file: string, what: string, holds: (last: Run) => boolean): Promise<Run> =>
  await until(
    what,
    async () => {
      const last = (await runsIn(file)).at(-1)
      return last !== undefined && holds(last) ? last : false
    },
    SETTLE_MS,
  )

/** The voters have become all the peers, so that a majority of them decides. */
const allVote = async (peers: readonly Peer[]): Promise<void> => {
  await until(
    'all peers vote',
    async () => {
      const said = await Promise.all(peers.map((peer) => peer.status()))
      return said.every(({ voters }) => voters?.present.length === peers.length && voters.former === null)
    },
    SETTLE_MS,
  )
}

describe('a quorum slot', { skip: missing ?? false }, () => {
  it('moves to the majority when its peer is cut off, and ends before it begins there (S9, L7)', async () => {
    await withFile(async (file) => {
      await withLand(3, async ({ bed, peers }) => {
        const [first] = peers
        assert.ok(first !== undefined)
        await allVote(peers)
        await first.change(lock(file))
        const before = await running(file, 'it runs', () => true)
        const holder = peers.findIndex(({ name }) => name === before.peer)
        await bed.split([holder + 1])
        const cutMs = Number(process.hrtime.bigint() / 1_000_000n)
        const after = await running(file, 'it runs elsewhere', ({ peer }) => peer !== before.peer)
        const runs = await runsIn(file)
        assertAlone(runs)
        const last = runs.filter(({ peer }) => peer === before.peer).at(-1)
        assert.ok(
          last !== undefined && last.toMs - cutMs < HOLD_MS + KILL_MS + 1000,
          'it outlived its lease (L7)',
        )
        assert.ok(after.token > last.token)
        const cut = peers[holder]
        assert.ok(cut !== undefined)
        await until('the one that is cut off says why', async () => {
          const { instances } = await cut.instances()
          return instances.some(
            ({ peer, reason }) => peer === cut.name && /needs 2 of 3 voters; only 1/.test(reason),
          )
        })
        await bed.heal()
        await until('the cluster is calm', async () => (await first.status()).settled, SETTLE_MS)
        assertAlone(await runsIn(file))
      })
    })
  })

  it('ends by its watchdog when its peer is stopped, and begins elsewhere with a higher token (S9)', async () => {
    await withFile(async (file) => {
      await withLand(3, async ({ peers }) => {
        const [first] = peers
        assert.ok(first !== undefined)
        await allVote(peers)
        await first.change(lock(file))
        const before = await running(file, 'it runs', () => true)
        const holder = peers.find(({ name }) => name === before.peer)
        assert.ok(holder !== undefined)
        holder.signal('SIGSTOP')
        try {
          await running(file, 'it runs elsewhere', ({ peer }) => peer !== before.peer)
          assertAlone(await runsIn(file))
        } finally {
          holder.signal('SIGCONT')
        }
        await until('the cluster is calm', async () => (await first.status()).settled, SETTLE_MS)
        assertAlone(await runsIn(file))
      })
    })
  })

  it('lives through a crash of its peer that is back within the lease, and needs both of two voters (L7)', async () => {
    await withFile(async (file) => {
      await withLand(2, async ({ bed, peers }) => {
        const [first] = peers
        assert.ok(first !== undefined)
        await allVote(peers)
        await first.change(lock(file))
        const before = await running(file, 'it runs', () => true)
        const holder = peers.find(({ name }) => name === before.peer)
        const other = peers.find(({ name }) => name !== before.peer)
        assert.ok(holder !== undefined && other !== undefined)
        await holder.end('SIGKILL')
        await holder.up()
        await running(
          file,
          'it outlives a lease',
          ({ pid, fromMs, toMs }) => pid === before.pid && toMs - fromMs > 2 * LEASE_MS,
        )
        await bed.split([1])
        await until(
          'the survivor says why',
          async () => {
            const { instances } = await other.instances()
            return instances.some(
              ({ peer, reason }) =>
                peer === other.name && /needs 2 of 2 voters; only 1 is in sight/.test(reason),
            )
          },
          SETTLE_MS,
        )
        const runs = await runsIn(file)
        assert.equal(runs.at(-1)?.peer, before.peer, 'a survivor of two started it')
        assertAlone(runs)
      })
    })
  })
})

/** Three voters of which two are lost for good; `survives` chooses the third, and is told who holds the slot. */
const withLost = async (
  survives: (peer: Peer, holder: string) => boolean,
  scenario: (scene: { survivor: Peer; lost: readonly Peer[]; file: string; before: Run }) => Promise<void>,
): Promise<void> => {
  await withFile(async (file) => {
    await withFleet(async (fleet) => {
      const peers = await fleet.grow(3)
      await allVote(peers)
      await peers[0]?.change(lock(file))
      const before = await running(file, 'it runs', () => true)
      const survivor = peers.find((peer) => survives(peer, before.peer))
      assert.ok(survivor !== undefined)
      assert.match((await survivor.cli('voters')).stdout, /voters: p0, p1, p2\na majority is in sight/)
      assert.match((await survivor.cli('voters', 'replace', '-y')).stderr, /the voters are not lost/)
      const lost = peers.filter((peer) => peer !== survivor)
      for (const peer of lost) await peer.end('SIGKILL')
      await until(
        'the survivor says that they are too few',
        async () => {
          const { code, stdout } = await survivor.cli('voters')
          return code === 1 && stdout.includes('needs 2 of 3 voters; only 1 is in sight')
        },
        SETTLE_MS,
      )
      await scenario({ survivor, lost, file, before })
    })
  })
}

const replaceLost = async (survivor: Peer, lost: readonly Peer[]): Promise<void> => {
  for (const { name } of lost) assert.equal((await survivor.cli('peers', 'rm', name, '-y')).code, 0)
  assert.match((await survivor.cli('voters')).stderr, /too few of them are members still/)
  const { stdout } = await survivor.cli('voters', 'replace', '-y')
  assert.match(stdout, new RegExp(`the voters are ${survivor.name} now`))
}

describe('lost voters', () => {
  it('are replaced by an operator, and the slot runs again with a higher token (S9, L7)', async () => {
    await withLost(
      ({ name }, holder) => name !== holder,
      async ({ survivor, lost, file, before }) => {
        const early = await survivor.cli('voters', 'replace', '-y')
        assert.notEqual(early.code, 0)
        assert.ok(early.stderr.includes(`${lost.map(({ name }) => name).join(', ')} are not in sight`))
        await replaceLost(survivor, lost)
        await running(file, 'it runs again', ({ token }) => token > before.token + 2 ** 40)
        assertAlone(await runsIn(file))
        assert.equal((await survivor.cli('voters')).code, 0)
      },
    )
  })

  it('are replaced beneath a slot that the survivor holds, which goes on as it was (S9, L6)', async () => {
    await withLost(
      ({ name }, holder) => name === holder,
      async ({ survivor, lost, file, before }) => {
        await replaceLost(survivor, lost)
        await running(
          file,
          'it outlives a lease',
          ({ pid, fromMs, toMs }) => pid === before.pid && toMs - fromMs > 2 * LEASE_MS,
        )
        assert.equal((await runsIn(file)).length, 1)
        assert.equal((await survivor.cli('voters')).code, 0)
      },
    )
  })
})
