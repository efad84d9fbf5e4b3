// `tutti serve-builds` and the refusals of `tutti release`, against a peer that says what it is told to.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { dutyNameOf } from '../../cli/commands/serve-builds.ts'
import type { BuildDutyReply } from '../../node/serve/api/contract-build-duties.ts'
import { fakePeer, fail, tutti as run, type Answer } from './fake.ts'

const asOf = { peer: 'a', digest: 'd'.repeat(64), at: 0, alive: 2, members: 2 }

const duty = (over: Partial<BuildDutyReply> = {}): BuildDutyReply => ({
  name: 'shop',
  repository: 'https://git.example.org/shop.git',
  branch: 'main',
  file: 'cell.yaml',
  everyMs: 10_000,
  steward: 'a',
  state: 'watching',
  reason: '',
  outcome: null,
  hindered: [],
  ...over,
})

const listing =
  (...duties: readonly BuildDutyReply[]): Answer =>
  () => ({ asOf, duties })

describe('tutti serve-builds', () => {
  it('gives the cluster the duty, named after the repository', async () => {
    const change = {
      asOf,
      change: 'c'.repeat(64),
      digest: asOf.digest,
      accepted: 'local',
      edits: [],
      slots: [],
      warnings: [],
    }
    const peer = await fakePeer({
      'POST /v1/changes': () => change,
      'GET /v1/build-duties': listing(
        duty({ name: 'blog', repository: 'https://other.example.org/blog.git' }),
      ),
    })
    try {
      const ran = await run(['serve-builds', 'git@git.example.org:team/shop.git', '--branch', 'stable'], {
        peer,
      })
      assert.equal(ran.code, 0, ran.stderr)
      assert.deepEqual(peer.asked.at(-1)?.body, {
        operations: [
          {
            kind: 'set-build-duty',
            name: 'shop',
            duty: {
              repository: 'git@git.example.org:team/shop.git',
              branch: 'stable',
              file: 'cell.yaml',
              everyMs: 10_000,
            },
          },
        ],
      })
      assert.match(ran.stdout, /^shop: stable of .* is built and released from now on \(change cccccccc\)/)
      const taken = await run(['serve-builds', 'https://git.example.org/blog.git'], { peer })
      assert.deepEqual(
        [taken.code, taken.stderr],
        [
          2,
          'tutti: blog follows https://other.example.org/blog.git already; choose another with --name, or say --name blog to follow this one instead\n',
        ],
      )
      for (const kind of ['rm', 'retry'])
        assert.equal((await run(['serve-builds', kind, 'shop'], { peer })).code, 0)
      assert.deepEqual(
        peer.asked.slice(-2).map(({ body }) => body),
        [
          { operations: [{ kind: 'remove-build-duty', name: 'shop' }] },
          { operations: [{ kind: 'retry-build', name: 'shop' }] },
        ],
      )
    } finally {
      await peer.close()
    }
  })

  it('lists duties with their steward, and what is wrong in full', async () => {
    const failed = duty({
      state: 'failed',
      reason: 'web: the build of v2 exited with 2',
      outcome: {
        commit: 'a'.repeat(40),
        version: '',
        kind: 'failed',
        message: 'web: the build of v2 exited with 2',
        output: ['no such header'],
      },
      hindered: [{ peer: 'b', reason: 'no route to host', since: 0 }],
    })
    const peer = await fakePeer({ 'GET /v1/build-duties': listing(duty({ name: 'blog' }), failed) })
    try {
      const { stdout } = await run(['serve-builds', 'ls'], { peer })
      assert.deepEqual(stdout.split('\n'), [
        'NAME\tBRANCH\tEVERY\tSTEWARD\tSTATE\tLAST\tREPOSITORY',
        'blog\tmain\t10s\ta\twatching\t-\thttps://git.example.org/shop.git',
        'shop\tmain\t10s\ta\tfailed\taaaaaaaa failed\thttps://git.example.org/shop.git',
        'shop: web: the build of v2 exited with 2',
        '  | no such header',
        '  a new commit is built; the same one after tutti serve-builds retry shop',
        'shop: b cannot build: no route to host',
        '',
      ])
      const json = await run(['serve-builds', 'ls', 'blog', '--json'], { peer })
      assert.equal((JSON.parse(json.stdout) as { duties: unknown[] }).duties.length, 1)
      const unknown = await run(['serve-builds', 'ls', 'blgo'], { peer })
      assert.deepEqual(
        [unknown.code, unknown.stderr],
        [2, 'tutti: there is no build duty blgo; did you mean blog?\n'],
      )
    } finally {
      await peer.close()
    }
  })

  it('refuses what names no repository', async () => {
    const none = await run(['serve-builds'])
    assert.equal(none.code, 2)
    assert.match(none.stderr, /that names no repository/)
    const missing = await run(['serve-builds', './nowhere'])
    assert.match(missing.stderr, /repository \.\/nowhere does not exist; give a URL or a path/)
  })

  it('passes on that the cluster refuses', async () => {
    const peer = await fakePeer({
      'POST /v1/changes': (_asked, response) => fail(response, 404, 'unknown', "there is no build duty 'x'"),
    })
    try {
      const ran = await run(['serve-builds', 'rm', 'x'], { peer })
      assert.deepEqual([ran.code, ran.stderr], [3, "tutti: there is no build duty 'x'\n"])
    } finally {
      await peer.close()
    }
  })

  it('makes a name of any way to write a repository', () => {
    for (const [repository, name] of [
      ['https://git.example.org/team/Shop.git', 'shop'],
      ['git@git.example.org:shop', 'shop'],
      ['/srv/git/my_shop.git/', 'my-shop'],
      ['ssh://git@host:22/a/b', 'b'],
    ] as const)
      assert.equal(dutyNameOf(repository), name)
  })
})
