import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { utf8 } from '../../../../lib/bytes.ts'
import { TuttiError } from '../../../../lib/errors.ts'
import type { ClusterId } from '../../../../lib/ids.ts'
import { verifySignature } from '../../../../lib/signature.ts'
import { openDataDirectory, type DataDirectory } from '../../../../node/act/disk/data-directory.ts'
import {
  loadIdentity,
  raiseIncarnation,
  readCluster,
  writeCluster,
  type ClusterOrigin,
} from '../../../../node/act/disk/identity.ts'

const cluster = '0123456789abcdef0123456789abcdef' as ClusterId
const founded: ClusterOrigin = { kind: 'founded', cluster, nonce: 'abcd', name: 'home' }
const joined: ClusterOrigin = { kind: 'joined', cluster, name: 'b', addresses: ['/ip4/127.0.0.1/tcp/1'] }

let directory: string
let data: DataDirectory
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tutti-identity-'))
  data = await openDataDirectory(directory)
})
afterEach(async () => {
  await data.close()
  await rm(directory, { recursive: true })
})

const storageError = (error: unknown): boolean => error instanceof TuttiError && error.code === 'storage'

describe('identity', () => {
  it('is created once, for its own user only, and stays', async () => {
    const created = await loadIdentity(data)
    const again = await loadIdentity(data)
    assert.equal(again.member, created.member)
    assert.deepEqual(again.seed, created.seed)
    assert.equal(created.seed.length, 32)
    const message = utf8('hello')
    assert.ok(verifySignature(created.member, message, again.signer.sign(message)))
    assert.equal((await stat(join(directory, 'identity.key'))).mode & 0o777, 0o600)
  })

  it('makes a key private again that was opened up', async () => {
    await loadIdentity(data)
    await chmod(join(directory, 'identity.key'), 0o644)
    await loadIdentity(data)
    assert.equal((await stat(join(directory, 'identity.key'))).mode & 0o777, 0o600)
  })

  it('refuses a damaged key at any byte, and leaves it as it is', async () => {
    await loadIdentity(data)
    const path = join(directory, 'identity.key')
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at += 1) {
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      await writeFile(path, flipped)
      await assert.rejects(loadIdentity(data), storageError, `byte ${at}`)
      assert.deepEqual(await readFile(path), flipped)
    }
    await writeFile(path, '')
    await assert.rejects(loadIdentity(data), storageError)
  })

  it('makes no new key for a member that lost its own', async () => {
    await loadIdentity(data)
    await writeCluster(data, joined)
    await rm(join(directory, 'identity.key'))
    await assert.rejects(loadIdentity(data), /is missing although this peer belongs to cluster 0123/)
  })
})

describe('incarnation', () => {
  it('rises each time, also when the clock does not', async () => {
    assert.equal(await raiseIncarnation(data, 5000), 5)
    assert.equal(await raiseIncarnation(data, 5000), 6)
    assert.equal(await raiseIncarnation(data, 0), 7)
    assert.equal(await raiseIncarnation(data, 100_000), 100)
  })

  it('comes back above what others have seen when its counter is old, lost or damaged', async () => {
    const before = await raiseIncarnation(data, 1_000_000)
    for (const damage of ['3\n', '', 'x', '-5']) {
      await data.writeSmall('incarnation', utf8(damage))
      assert.ok((await raiseIncarnation(data, 1_002_000)) > before)
    }
  })

  it('is at least 1', async () => {
    assert.equal(await raiseIncarnation(data, 0), 1)
  })
})

describe('cluster file', () => {
  it('gives back how the peer came into its cluster', async () => {
    assert.equal(await readCluster(data), null)
    for (const origin of [founded, joined]) {
      await writeCluster(data, origin)
      assert.deepEqual(await readCluster(data), origin)
    }
  })

  it('refuses what it cannot read', async () => {
    for (const text of [
      '',
      '{',
      'null',
      '{}',
      JSON.stringify({ ...joined, cluster: 'x' }),
      '{"kind":"founded"}',
    ]) {
      await data.writeSmall('cluster.json', utf8(text))
      await assert.rejects(readCluster(data), storageError, text)
    }
  })
})
