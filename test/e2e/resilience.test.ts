// What a peer withstands: a disk that is full, a log that was damaged, members that send garbage, strangers, and an API
// that is used wrongly. Whatever happens is said, nothing that was acknowledged is lost, and it goes on afterwards.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ClusterId } from '../../lib/ids.ts'
import { signerFromSeed } from '../../lib/signature.ts'
import { frameOf } from '../../net/libp2p/frames.ts'
import { askProtocol, channelProtocol, gossipTopic } from '../../net/libp2p/wire.ts'
import { createRawPeer } from '../net/libp2p/raw-peer.ts'
import { applyOf, freePort, idle, type Peer, ready, until, withFleet } from './support/fleet.ts'
import { isRunning } from './support/leftovers.ts'
import { mountSmallDisk, smallDiskMissing } from './support/small-disk.ts'

const missing = await smallDiskMissing()
if (missing !== null) process.stderr.write(`SKIPPED: a full disk is not tested: ${missing}\n`)

const scaleTo = (peer: Peer, replicas: number): Promise<unknown> =>
  peer.change({ kind: 'scale', service: 'e2e/web', replicas })

const metric = async (peer: Peer, name: string): Promise<number> => {
  const text = await peer.get<string>('/metrics')
  const line = text.split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.split(' ')[1])
}

describe('a full disk', { skip: missing ?? false }, () => {
  it('refuses an edit in one sentence, loses nothing, keeps what runs, and takes edits again once there is room (S2)', () =>
    withFleet(async (fleet) => {
      const disk = await mountSmallDisk(join(fleet.directory, 'p0'), 8 * 1024 * 1024)
      try {
        const listen = `/ip4/127.0.0.1/tcp/${await freePort()}`
        const [a, b] = await fleet.grow(2, (at) => ({ name: `p${at}`, ...(at === 0 ? { listen } : {}) }))
        assert.ok(a !== undefined && b !== undefined)
        await a.change(applyOf(idle('web', { replicas: 2 })))
        const before = await ready(a, 'web', 2)
        await fleet.agree([a, b])
        await disk.fill()
        // The log's last block may have room for one more; not for this one again and again.
        let digest = ''
        let turn = 0
        const file = join(fleet.directory, 'big.yaml')
        const refused = await until('an edit is refused', async () => {
          turn += 1
          const text = `${turn}-`.repeat(2000)
          await writeFile(
            file,
            `name: big\nservices: { x: { command: ["true"], scale: 0, environment: { BIG: ${text} } } }\n`,
          )
          digest = await a.digest()
          const output = await a.cli('apply', '-f', file, '--yes', '--no-wait')
          return output.code !== 0 && output
        })
        assert.equal(refused.code, 1, refused.stderr)
        assert.match(refused.stderr, /full|space|disk/)
        assert.match(refused.stderr, /^tutti: [^\n]*\n$/m)
        assert.equal(await a.digest(), digest)
        assert.ok(before.every(({ pid }) => pid !== null && isRunning(pid)))
        assert.equal((await b.sees('p0')).state, 'alive')
        // The other one takes them, and what starts on the full disk says what to do.
        await scaleTo(b, 6)
        const cause =
          /cannot be spawned: .*(the disk is full: [^;]*; free some space|see whether its disk has room)/
        await until('a start on it says why it fails', async () => {
          const { instances } = await b.instances()
          return instances.some(({ peer, reason }) => peer === 'p0' && cause.test(reason))
        })
        await disk.free()
        await until('edits are taken again', async () => {
          await scaleTo(a, 3)
          return true
        })
        await ready(b, 'web', 3)
        await fleet.agree([a, b])
        const kept = await a.digest()
        await a.end('SIGKILL')
        await a.up()
        await fleet.agree([a, b])
        assert.equal(await a.digest(), kept)
      } finally {
        await Promise.all(fleet.peers.map((peer) => peer.end('SIGKILL')))
        await disk.close()
      }
    }))
})

describe('a damaged log', () => {
  /** The files that hold the document, largest first. */
  const filesOf = async (peer: Peer): Promise<readonly { path: string; size: number }[]> => {
    const folder = join(peer.data, 'log')
    const names = await readdir(folder, { recursive: true })
    const all = await Promise.all(
      names.map(async (name) => {
        const path = join(folder, name)
        const facts = await stat(path)
        return { path, size: facts.isFile() ? facts.size : 0 }
      }),
    )
    return all.toSorted((x, y) => y.size - x.size)
  }
  const damages: readonly (readonly [string, (path: string, size: number) => Promise<void>])[] = [
    ['torn off at its end', (path, size) => truncate(path, size - 17)],
    [
      'overwritten in its middle',
      async (path, size) => {
        const file = await open(path, 'r+')
        await file.write(randomBytes(40), 0, 40, Math.floor(size / 2))
        await file.close()
      },
    ],
    ['emptied', (path) => truncate(path, 0)],
  ]
  it('torn off, overwritten or emptied is said, and made good from the others (S1, S2)', () =>
    withFleet(async (fleet) => {
      const [a, b] = await fleet.grow(2)
      assert.ok(a !== undefined && b !== undefined)
      await b.change(applyOf(idle('web', { replicas: 2 })))
      for (const [what, damage] of damages) {
        for (const replicas of [3, 4, 2]) await scaleTo(b, replicas)
        await fleet.agree([a, b])
        const digest: string = await a.digest()
        await b.end('SIGKILL')
        const [file] = await filesOf(b)
        assert.ok(file !== undefined && file.size > 100)
        await damage(file.path, file.size)
        await b.up()
        await fleet.agree([a, b])
        assert.equal(await b.digest(), digest, what)
        if (what !== 'emptied') assert.match(b.output, /damage|could be used/, what)
        await ready(a, 'web', 2)
      }
    }))
})

describe('what others send', () => {
  it('changes nothing and ends nothing, be it from a stranger or from a member gone wrong (S4, S12)', () =>
    withFleet(async (fleet) => {
      const [a, b, c] = await fleet.grow(3)
      assert.ok(a !== undefined && b !== undefined && c !== undefined)
      await a.change(applyOf(idle('web', { replicas: 2 })))
      await fleet.agree([a, b, c])
      const cluster = (await a.peers()).cluster as ClusterId
      const digest = await a.digest()
      await c.end('SIGKILL')
      const seed = Buffer.from((await readFile(join(c.data, 'identity.key'), 'utf8')).slice(0, 64), 'hex')
      const [address] = (await b.sees('p0')).addresses

      const stranger = await createRawPeer(new Uint8Array(randomBytes(32)), gossipTopic(cluster))
      try {
        const connection = await stranger.dial(address).catch(() => null)
        await until('the stranger is cut', () => connection === null || connection.status !== 'open')
        assert.deepEqual(stranger.heard, [])
      } finally {
        await stranger.node.stop()
      }

      const rogue = await createRawPeer(new Uint8Array(seed), gossipTopic(cluster))
      assert.equal(rogue.node.peerId.toString(), signerFromSeed(new Uint8Array(seed)).member)
      try {
        const connection = await rogue.dial(address)
        const garbage = [0, 1, 2, 3].flatMap((kind) =>
          [0, 1, 64, 5000].map((length) => Buffer.concat([Buffer.of(kind), randomBytes(length)])),
        )
        const before = await metric(a, 'tutti_gossip_rejected_total')
        await until('a hears the garbage', async () => {
          for (const bytes of garbage) {
            await rogue.node.services.pubsub.publish(
              gossipTopic(cluster),
              Buffer.concat([bytes, randomBytes(4)]),
            )
          }
          return (await metric(a, 'tutti_gossip_rejected_total')) > before
        })
        for (const protocol of [
          channelProtocol(cluster, 'sync'),
          channelProtocol(cluster, 'beat'),
          askProtocol(cluster),
        ]) {
          for (const bytes of garbage) {
            try {
              const stream = await connection.newStream(protocol)
              stream.send(frameOf(bytes))
              stream.send(bytes)
            } catch {
              // Cut off already: as good.
            }
          }
        }
        assert.equal(await a.digest(), digest)
      } finally {
        await rogue.node.stop()
      }
      await scaleTo(b, 3)
      await ready(a, 'web', 3)
      await c.up()
      await fleet.agree([a, b, c])
    }))
})

describe('an API used wrongly', () => {
  it('answers with one sentence and the right status, changes nothing, and goes on (S14, S15)', () =>
    withFleet(async (fleet) => {
      const a = fleet.peer({ name: 'a', args: ['--api', '127.0.0.1:0'] })
      await a.up()
      const digest = await a.digest()
      const wrong: readonly (readonly [string, string, unknown, RegExp])[] = [
        ['POST', '/v1/changes', { operations: [] }, /40[0-9]/],
        ['POST', '/v1/changes', { operations: [{ kind: 'explode' }] }, /400/],
        [
          'POST',
          '/v1/changes',
          { operations: Array.from({ length: 203 }, () => ({ kind: 'remove-cell', cell: 'x' })) },
          /400/,
        ],
        [
          'POST',
          '/v1/changes',
          { operations: [{ kind: 'remove-cell', cell: 'x'.repeat(9_000_000) }] },
          /413/,
        ],
        ['GET', '/v1/placements?of=../../x', null, /40[04]/],
        ['GET', '/v1/nothing', null, /404/],
        ['GET', '/v1/logs?of=a/b&tail=100000000', null, /400/],
      ]
      for (const [method, path, body, status] of wrong) {
        const asked = method === 'GET' ? a.get(path) : a.post(path, body)
        await assert.rejects(asked, (thrown: Error) => {
          // A body beyond the limit may be cut off before the answer is read.
          if (/413/.test(status.source) && /EPIPE|ECONNRESET/.test(thrown.message)) return true
          assert.match(thrown.message, status)
          assert.match(thrown.message, /"error":\{"code":"[a-z-]+","message":"[^"]+","requestId":/)
          return true
        })
      }
      const noise = await new Promise<string>((done, failed) => {
        const socket = connect(a.socket, () => socket.write('this is no HTTP\r\n\r\n'))
        let text = ''
        socket.on('data', (data: Buffer) => (text += data.toString()))
        socket.on('close', () => done(text))
        socket.on('error', failed)
      })
      assert.match(noise, /^HTTP\/1\.1 400/)
      const many = await Promise.allSettled(Array.from({ length: 400 }, () => a.status()))
      assert.ok(many.some(({ status }) => status === 'fulfilled'))
      assert.equal(await a.digest(), digest)

      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(a.output)?.[0]
      assert.ok(url !== undefined, a.output)
      assert.equal((await fetch(`${url}/v1/status`)).status, 401)
      const token = (await readFile(join(a.data, 'api.token'), 'utf8')).trim()
      const headers = { authorization: `Bearer ${token}` }
      assert.equal((await fetch(`${url}/v1/status`, { headers })).status, 200)
    }))
})
