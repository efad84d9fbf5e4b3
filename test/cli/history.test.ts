// Whole commands about what was, against a peer that says what the test wants.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ChangeReply } from '../../node/serve/api/contract.ts'
import type { HistoryReply } from '../../node/serve/api/contract-history.ts'
import { asOf, fail, fakePeer, tutti, type Answer, type FakePeer } from './fake.ts'

const HASH = '1a2b3c4d'.repeat(8)
const DIGEST = 'd1d2d3d4'.repeat(8)

const history: HistoryReply = {
  asOf,
  changes: [
    {
      change: HASH,
      at: 0,
      author: 'a',
      authorId: '12D3KooW',
      peer: 'a',
      message: 'apply \u001b[31mshop',
      parents: [],
      edits: [
        { path: 'shop/web replicas', from: '2', to: '3' },
        { path: 'peer b cordoned', from: 'false', to: 'true' },
      ],
      omitted: 2,
    },
  ],
  more: true,
}

const change = (changes: Partial<ChangeReply> = {}): ChangeReply => ({
  asOf,
  change: null,
  digest: DIGEST,
  accepted: 'local',
  edits: [{ path: 'shop/web environment.VERSION', from: '2', to: '1' }],
  slots: [],
  warnings: [],
  ...changes,
})

const conflict = {
  path: 'shop/web replicas',
  value: '5',
  winner: '8',
  author: 'a',
  change: HASH,
  at: 0,
  winnerAuthor: 'b',
  winnerChange: 'ffff0000',
  winnerAt: 1000,
  settle: 'tutti resolve shop/web replicas',
}

let peer: FakePeer
let onChange: Answer
before(async () => {
  peer = await fakePeer({
    'GET /v1/changes': () => history,
    'GET /v1/diff': () => ({
      asOf,
      from: { changes: [HASH], digest: DIGEST },
      to: { changes: [HASH], digest: DIGEST },
      edits: [{ path: 'shop/web replicas', from: '2', to: '3' }],
    }),
    'GET /v1/intent': () => ({
      asOf,
      at: { changes: [HASH], digest: DIGEST },
      peers: [{ name: 'a', id: 'x', role: 'operator', cordoned: true, draining: false }],
      cells: [
        {
          name: 'shop',
          services: [
            {
              name: 'web',
              generation: 1,
              mode: 'replicated',
              replicas: 3,
              stopped: false,
              release: 'abc',
              fields: { command: '["node"]' },
              conflicts: 0,
            },
          ],
        },
      ],
    }),
    'GET /v1/conflicts': () => ({
      asOf,
      conflicts: [conflict, { ...conflict, path: 'shop/db replicas', winner: 'removed', settle: '' }],
    }),
    'POST /v1/changes': (asked, response) => onChange(asked, response),
  })
})
after(() => peer.close())

const bodies = (): readonly unknown[] =>
  peer.asked.filter(({ method }) => method === 'POST').map(({ body }) => body)

const asked = (path: string): string =>
  peer.asked.findLast(({ url }) => url.pathname === path)?.url.search ?? ''

describe('tutti history', () => {
  it('shows each change with who, when and why, and what it did, harmless', async () => {
    const { code, stdout, stderr } = await tutti(
      ['history', 'shop/web', '-n', '1', '--since', '1970-01-01'],
      { peer },
    )
    assert.equal(code, 0)
    assert.equal(asked('/v1/changes'), '?of=shop%2Fweb&limit=1&since=0')
    assert.equal(
      stdout,
      '1a2b3c4d 1970-01-01T00:00:00.000Z a apply ␛[31mshop\n' +
        '  shop/web\n    ~ replicas: 2 → 3\n  peer b\n    ~ cordoned: false → true\n  and 2 fields more\n',
    )
    assert.match(stderr, /there are older ones; see them with -n 10\nas of peer a/)
  })

  it('prints the JSON of the contract', async () => {
    const { stdout } = await tutti(['history', '--json'], { peer })
    const [first] = JSON.parse(stdout).changes
    assert.deepEqual(Object.keys(first).slice(0, 3), ['change', 'at', 'author'])
    assert.deepEqual(first.edits[0], { path: 'shop/web replicas', from: '2', to: '3' })
  })
})

describe('tutti diff', () => {
  it('tells a second moment from a scope', async () => {
    for (const [words, query] of [
      [['now~3'], '?from=now%7E3&to=now'],
      [['now~3', 'shop/web'], '?from=now%7E3&to=now&of=shop%2Fweb'],
      [['1a2b~', '1a2b'], '?from=1a2b%7E&to=1a2b'],
      [['1a2b~', 'now', 'shop'], '?from=1a2b%7E&to=now&of=shop'],
    ] as const) {
      assert.equal((await tutti(['diff', ...words], { peer })).stdout, 'shop/web\n  ~ replicas: 2 → 3\n')
      assert.equal(asked('/v1/diff'), query)
    }
    const { code, stderr } = await tutti(['diff', 'yesterday'], { peer })
    assert.deepEqual([code, /'yesterday' is no change/.test(stderr)], [2, true])
  })
})

describe('tutti status --at', () => {
  it('shows what was wanted', async () => {
    const { stdout } = await tutti(['status', '--at', '1a2b3c4d', 'shop/web'], { peer })
    assert.equal(asked('/v1/intent'), '?at=1a2b3c4d&service=shop%2Fweb')
    assert.match(stdout, /as it was wanted at 1a2b3c4d, with digest d1d2d3d4/)
    assert.match(stdout, /shop\/web: 3 replicas release abc\n {4}command: \["node"\]/)
  })
})

describe('tutti rollback', () => {
  it('shows the plan, asks, and binds the change to what it showed', async () => {
    onChange = ({ body }) =>
      (body as { readonly dry?: boolean }).dry === true
        ? change()
        : change({ change: HASH, digest: 'e'.repeat(64) })
    const words = ['rollback', 'shop/web', 'now~2', '--no-wait', '-m', 'v2 leaks']
    const { code, stdout, stderr } = await tutti(words, { peer, answer: 'y' })
    assert.equal(code, 0)
    assert.match(stdout, /~ environment\.VERSION: 2 → 1\n1 field\nrolled shop\/web back as change 1a2b3c4d/)
    assert.match(stderr, /roll shop\/web back\? .*digest eeeeeeee/s)
    const operations = [{ kind: 'rollback', service: 'shop/web', to: 'now~2' }]
    assert.deepEqual(bodies().slice(-2), [
      { operations, message: 'v2 leaks', dry: true },
      { operations, message: 'v2 leaks', ifDigest: DIGEST },
    ])
  })

  it('changes nothing when the answer is no, and says so where there is nothing to change', async () => {
    onChange = () => change()
    const count = bodies().length
    assert.equal((await tutti(['rollback', 'shop/web'], { peer, answer: 'n' })).code, 1)
    assert.equal(bodies().length, count + 1)
    onChange = () => change({ edits: [] })
    const { code, stdout } = await tutti(['rollback', 'shop/web'], { peer })
    assert.deepEqual([code, stdout], [0, 'nothing to change: shop/web is what it was\n'])
  })

  it('exits with 3 when somebody was faster', async () => {
    onChange = ({ body }, response) =>
      (body as { readonly dry?: boolean }).dry === true
        ? change()
        : fail(response, 409, 'conflict', 'the intent is no longer the one with digest d1d2')
    const { code, stderr } = await tutti(['rollback', 'shop/web', '-y'], { peer })
    assert.deepEqual([code, /no longer the one/.test(stderr)], [3, true])
  })
})

describe('tutti conflicts and resolve', () => {
  it('name both values with who and when, and how to settle it', async () => {
    const { stdout } = await tutti(['conflicts'], { peer })
    assert.equal(
      stdout,
      [
        'shop/web replicas',
        '  8 holds, written by b at 1970-01-01T00:00:01.000Z (change ffff0000)',
        '  5 lost, written by a at 1970-01-01T00:00:00.000Z (change 1a2b3c4d)',
        '    to keep what holds: tutti resolve shop/web replicas',
        '    to take this one:   tutti resolve shop/web replicas --take 1a2b3c4d',
        'shop/db replicas',
        '  removed holds, written by b at 1970-01-01T00:00:01.000Z (change ffff0000)',
        '  5 lost, written by a at 1970-01-01T00:00:00.000Z (change 1a2b3c4d)',
        '    to bring its service back: tutti rollback shop/db 1a2b3c4d',
        '',
      ].join('\n'),
    )
    onChange = () => change({ change: HASH })
    await tutti(['resolve', 'shop/web', 'replicas', '--take', '1a2b3c4d'], { peer })
    assert.deepEqual(bodies().at(-1), {
      operations: [{ kind: 'resolve', path: 'shop/web replicas', take: '1a2b3c4d' }],
      message: 'resolve shop/web replicas',
    })
  })
})

describe('commands that edit', () => {
  it('say why with -m, and count on a digest with --if-digest', async () => {
    onChange = () => change({ change: HASH })
    for (const words of [
      ['scale', 'shop/web=3'],
      ['restart', 'shop/web'],
      ['stop', 'shop/web'],
      ['rm', 'shop/web', '-y'],
      ['peers', 'cordon', 'b'],
      ['peers', 'rm', 'b', '-y'],
    ]) {
      const { code } = await tutti([...words, '-m', 'because', '--if-digest', 'd1d2d3d4'], { peer })
      assert.equal(code, 0, words.join(' '))
      const { message, ifDigest } = bodies().at(-1) as { readonly message: string; readonly ifDigest: string }
      assert.deepEqual([message, ifDigest], ['because', 'd1d2d3d4'])
    }
    assert.equal((await tutti(['scale', 'shop/web=3', '--if-digest', 'latest'], { peer })).code, 2)
    assert.equal((await tutti(['scale', 'shop/web=3', '-m', ' '], { peer })).code, 2)
  })
})
