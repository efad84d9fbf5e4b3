// `tutti release` as a person meets it: shown, asked, and only then pushed and changed; and what a peer's own release says of
// a trouble that will pass.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { asOf, fail, fakePeer, tutti, type Answer, type FakePeer } from '../fake.ts'
import { GIT_ENVIRONMENT, TestRepository } from './support.ts'

const change = (over: object = {}) => ({
  asOf,
  change: null,
  digest: asOf.digest,
  accepted: 'local',
  edits: [{ path: 'shop/web', from: null, to: 'present' }],
  slots: [],
  warnings: [],
  ...over,
})

let repository: TestRepository
let commit: string
const peers: FakePeer[] = []
beforeEach(() => {
  repository = new TestRepository()
  repository.write('cell.yaml', 'name: shop\nservices:\n  web:\n    command: [run]\n    build: app\n')
  repository.write('app/run', 'x')
  commit = repository.commit('first')
  repository.git('tag', 'v1')
})
afterEach(async () => {
  for (const peer of peers.splice(0)) await peer.close()
  repository.remove()
})

const peerOf = async (over: Readonly<Record<string, Answer>> = {}): Promise<FakePeer> => {
  const peer = await fakePeer({
    'GET /v1/packages': () => ({ asOf, packages: [] }),
    'GET /v1/status': () => ({ asOf, digest: asOf.digest, settled: true, waiting: [], cells: [] }),
    'POST /v1/packages/manifest': () => ({ digest: '', missing: [] }),
    'POST /v1/packages': () => ({ digest: '', holders: ['a', 'b'] }),
    'POST /v1/changes': ({ body }) =>
      change((body as { dry?: boolean }).dry === true ? {} : { change: 'c'.repeat(64) }),
    ...over,
  })
  peers.push(peer)
  return peer
}

const release = (peer: FakePeer, words: readonly string[], answer?: string) =>
  tutti(['release', '--no-wait', ...words], {
    peer,
    directory: repository.directory,
    environment: GIT_ENVIRONMENT,
    ...(answer === undefined ? {} : { answer }),
  })

const pathsOf = (peer: FakePeer): readonly string[] =>
  peer.asked.map(({ method, url }) => `${method} ${url.pathname}`)

interface Sent {
  readonly message: string
  readonly retry?: boolean
  readonly operations: readonly { readonly kind: string; readonly ref?: string; readonly source?: unknown }[]
}

const lastChange = (peer: FakePeer): Sent => {
  const asked = peer.asked.findLast(({ url }) => url.pathname === '/v1/changes')
  assert.ok(asked !== undefined)
  return asked.body as Sent
}

describe('tutti release', () => {
  it('shows what would change and asks; a no pushes nothing and changes nothing', async () => {
    const peer = await peerOf()
    const ran = await release(peer, [], 'n')
    assert.equal(ran.code, 1)
    assert.match(ran.stdout, /v1: first\n/)
    assert.match(ran.stdout, /nothing was changed\n$/)
    assert.ok(ran.stderr.includes('release v1 to shop? [y/N] '), ran.stderr)
    assert.deepEqual(pathsOf(peer), ['GET /v1/packages', 'POST /v1/changes'])
  })

  it('pushes before it changes, and lists the package with its commit in the change that applies it', async () => {
    const peer = await peerOf()
    const ran = await release(peer, ['-m', 'at last', '--retry'], 'y')
    assert.equal(ran.code, 0, ran.stderr)
    assert.match(ran.stdout, /released v1 to shop as change cccccccc/)
    assert.deepEqual(pathsOf(peer), [
      'GET /v1/packages',
      'POST /v1/changes',
      // Pushing begins with a look at whether the version is free.
      'POST /v1/changes',
      'POST /v1/packages/manifest',
      'POST /v1/packages',
      'POST /v1/changes',
    ])
    const { operations, message, retry } = lastChange(peer)
    assert.equal(retry, true)
    assert.equal(message, 'release v1 (first): at last')
    assert.deepEqual(
      operations.map(({ kind, ref }) => [kind, ref]),
      [
        ['put-package', 'shop-web@v1'],
        ['apply', undefined],
      ],
    )
    assert.deepEqual(operations[0]?.source, {
      commit,
      author: 'Ada <ada@example.org>',
      at: Date.parse('2031-05-04T10:00:00Z'),
    })
  })

  it('needs --yes where nobody is asked', async () => {
    const ran = await release(await peerOf(), [])
    assert.equal(ran.code, 2)
    assert.match(ran.stderr, /no one is at the terminal; add --yes/)
  })

  it('is refused where its version was made from another commit', async () => {
    const packages = [
      { name: 'shop-web', version: 'v1', ref: 'shop-web@v1', source: { commit: 'f'.repeat(40) } },
    ]
    const peer = await peerOf({
      'GET /v1/packages': () => ({ asOf, packages }),
      'POST /v1/changes': (_asked, response) =>
        fail(response, 409, 'conflict', "'shop-web@v1' is another content"),
    })
    const ran = await release(peer, ['--yes'])
    assert.deepEqual([ran.code, ran.stderr], [3, "tutti: 'shop-web@v1' is another content\n"])
  })

  it('for a build duty settles it in the same change, and tells a trouble that passes from a fault', async () => {
    const peer = await peerOf()
    const duty = ['--yes', '--json', '--duty=shop', '--after=']
    assert.equal((await release(peer, duty)).code, 0)
    const { operations } = lastChange(peer)
    assert.deepEqual(operations.at(-1), {
      kind: 'record-build',
      name: 'shop',
      outcome: { commit, version: 'v1', kind: 'released', message: 'first', output: [] },
      after: null,
    })
    const full = await peerOf({
      'POST /v1/packages': (_asked, response) => fail(response, 507, 'storage', 'the disk is full'),
    })
    const ran = await release(full, duty)
    assert.deepEqual([ran.code, ran.stderr.endsWith('tutti: the disk is full\n')], [75, true])
    repository.write('cell.yaml', 'nonsense')
    repository.commit('second')
    assert.equal((await release(peer, duty)).code, 3)
  })
})
