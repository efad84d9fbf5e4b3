// Examinations of real peers: a healthy cluster, links that a firewall lets through one way only or not at all, a disk that
// fills up, and a peer that is told to stop as a service manager does it.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { endInstances } from '../../node/end-instances.ts'
import type { DoctorReply } from '../../node/serve/api/contract-doctor.ts'
import { isRunning } from './support/leftovers.ts'
import { applyOf, freePort, idle, ready, tutti, until, withFleet, type Peer } from './support/fleet.ts'
import { netbedMissing, withLand } from './support/netbed.ts'
import { mountSmallDisk, smallDiskMissing } from './support/small-disk.ts'

const run = promisify(execFile)
const noNetwork = await netbedMissing()
if (noNetwork !== null) process.stderr.write(`SKIPPED: links are not tested: ${noNetwork}\n`)
const noDisk = await smallDiskMissing()
if (noDisk !== null) process.stderr.write(`SKIPPED: full disks are not tested: ${noDisk}\n`)

const MEBI = 2 ** 20

const examine = async (peer: Peer, ...words: readonly string[]) => {
  const { code, stdout, stderr } = await peer.cli('doctor', '--json', ...words)
  assert.notEqual(stdout, '', stderr)
  return { code, reply: JSON.parse(stdout) as DoctorReply }
}

const failures = ({ findings }: DoctorReply): readonly string[] =>
  findings.filter(({ level }) => level === 'fail').map(({ check, found }) => `${check}: ${found}`)

describe('tutti doctor', () => {
  it('finds nothing wrong with three healthy peers, and says so for each of their machines', async () => {
    await withFleet(async (fleet) => {
      // Below the ephemeral range is where a real peer listens; here any free port does, and is warned of at most.
      const peers = await fleet.grow(3)
      for (const peer of peers) {
        const { code, reply } = await examine(peer, '--all')
        assert.deepEqual(failures(reply), [])
        assert.equal(code, 0)
        assert.equal(reply.links.length, 6)
        assert.ok(reply.links.every(({ state }) => state === 'reaches'))
        const examined = new Set(
          reply.findings.filter(({ check }) => check === 'disk').map((one) => one.peer),
        )
        assert.deepEqual([...examined].sort(), ['p0', 'p1', 'p2'])
        for (const { self, clockOffsetMs } of reply.members)
          assert.ok(self || Math.abs(clockOffsetMs ?? Infinity) < 500, `clock off by ${clockOffsetMs}`)
      }
    })
  })

  it('names who is dead and what was tried', async () => {
    await withFleet(async (fleet) => {
      const [first, second] = await fleet.grow(2)
      assert.ok(first !== undefined && second !== undefined)
      await second.end('SIGKILL')
      await until('it is dead', async () => (await first.sees('p1')).state === 'dead')
      const { code, reply } = await examine(first)
      assert.equal(code, 1)
      assert.match(
        failures(reply).join('\n'),
        /members: p1 has been dead for .*\(\/ip4\/127\.0\.0\.1\/tcp\/\d+ ECONNREFUSED\)/,
      )
    })
  })

  it(
    'names the direction of a link that a firewall lets through one way only',
    { skip: noNetwork ?? false },
    async () => {
      await withLand(3, async ({ bed, peers }) => {
        const [first, , third] = peers
        assert.ok(first !== undefined && third !== undefined)
        assert.deepEqual(failures((await examine(first)).reply), [])
        // New connections from host 1 to host 2 are dropped, everything else passes: a firewall of host 2.
        const rule = 'add rule bridge part forw iifname "v1" oifname "v2" tcp flags & (syn | ack) == syn drop'
        await run('ip', ['netns', 'exec', bed.sw, 'nft', rule])
        for (const peer of [first, third]) {
          const { code, reply } = await examine(peer)
          assert.equal(code, 1)
          assert.deepEqual(failures(reply), [
            'reach: one way only: p1 reaches p0, but p0 does not reach p1 (/ip4/10.77.0.2/tcp/7701 no answer)',
          ])
          const way = reply.links.find(({ from, to }) => from === 'p0' && to === 'p1')
          assert.equal(way?.state, 'connected')
        }
      })
    },
  )

  it(
    'names two members that lost each other while others reach both',
    { skip: noNetwork ?? false },
    async () => {
      await withLand(3, async ({ bed, peers }) => {
        const [, , third] = peers
        assert.ok(third !== undefined)
        await bed.oneWay(1, 2)
        const { reply } = await until(
          'the link is cut',
          async () => {
            const found = await examine(third)
            return failures(found.reply).some((one) => one.includes('do not reach each other')) && found
          },
          60_000,
        )
        assert.match(
          failures(reply).join('\n'),
          /reach: p0 and p1 do not reach each other \(p0: .*10\.77\.0\.2.*p1: .*10\.77\.0\.1/,
        )
        assert.ok(!failures(reply).some((one) => one.includes('p2')), failures(reply).join('\n'))
      })
    },
  )

  it('warns of a small disk and fails for a full one', { skip: noDisk ?? false }, async () => {
    await withFleet(async (fleet) => {
      const disk = await mountSmallDisk(join(fleet.directory, 'disk'), 64 * MEBI)
      try {
        const data = join(disk.path, 'p0')
        await mkdir(data, { mode: 0o700 })
        const peer = fleet.peer({ name: 'p0', data })
        await peer.up()
        const small = await examine(peer)
        assert.equal(small.code, 0)
        const warned = small.reply.findings.filter(({ level }) => level === 'warn').map(({ found }) => found)
        assert.ok(
          warned.some((found) => /^\d[\d.]*M of 64M free for /.test(found)),
          warned.join('; '),
        )
        assert.ok(warned.some((found) => found.startsWith('file system tmpfs')))
        await disk.fill()
        const full = await examine(peer)
        assert.equal(full.code, 1)
        assert.match(failures(full.reply).join('\n'), /disk: .*cannot be written: ENOSPC/)
        await peer.end()
      } finally {
        await disk.close()
      }
    })
  })

  it('examines the machine where no peer runs', async () => {
    await withFleet(async (fleet) => {
      const { code, stdout } = await tutti(['doctor', '--data', join(fleet.directory, 'none')])
      assert.equal(code, 0, stdout)
      assert.match(stdout, /^warn\tpeer\tno peer answers on /m)
    })
  })
})

describe('a peer under a service manager', () => {
  it('is stopped and started by signal as a unit does it, and its instances run on (S10)', async () => {
    await withFleet(async (fleet) => {
      const peer = fleet.peer({ name: 'p0', listen: `/ip4/127.0.0.1/tcp/${await freePort()}` })
      await peer.up()
      await peer.change(applyOf(idle('web', { replicas: 2 })))
      const before = (await ready(peer, 'web', 2)).map(({ pid }) => pid)
      await peer.end('SIGTERM')
      assert.ok(before.every((pid) => pid !== null && isRunning(pid)))
      await peer.up()
      assert.deepEqual(
        (await ready(peer, 'web', 2)).map(({ pid }) => pid),
        before,
      )
    })
  })

  it('that is taken away ends its instances when told, and not while it runs (S10)', async () => {
    await withFleet(async (fleet) => {
      const peer = fleet.peer({ name: 'p0' })
      await peer.up()
      await peer.change(applyOf(idle('web', { replicas: 2, stopGraceMs: 2000 })))
      const pids = (await ready(peer, 'web', 2)).map(({ pid }) => pid ?? 0)
      await assert.rejects(endInstances(peer.data), /already runs on/)
      await peer.end('SIGTERM')
      assert.equal(await endInstances(peer.data), 2)
      assert.ok(pids.every((pid) => !isRunning(pid)))
      assert.equal(await endInstances(peer.data), 0)
    })
  })
})
