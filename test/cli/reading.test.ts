// Commands that read: what they print for people, for pipes and as JSON, and what they ask the peer.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tutti } from './fake.ts'
import { shopPeer } from './shop-peer.ts'

const { peer, bodies } = await shopPeer()

describe('tutti, reading', () => {
  it('prints tab-separated tables when piped, harmless, with their freshness on stderr', async () => {
    const { code, stdout, stderr } = await tutti(['ls'], { peer })
    assert.equal(code, 0)
    assert.equal(
      stdout,
      'SERVICE\tMODE\tREADY\tRELEASE\tPORTS\tCOMMAND\nshop/web\treplicated\t2/3\tabc\t-\tnode a\u241b[2J\n',
    )
    assert.equal(stderr, 'as of peer a: 3/3 peers alive, digest d1d2d3d4\n')
  })

  it('prints one JSON value and nothing else for --json', async () => {
    for (const words of [
      ['peers'],
      ['ls'],
      ['ps'],
      ['status'],
      ['conflicts'],
      ['events'],
      ['explain', 'shop/web'],
      ['invite'],
      ['logs', 'shop/web'],
    ]) {
      const { code, stdout, stderr } = await tutti([...words, '--json'], { peer })
      assert.deepEqual([code, stderr, typeof JSON.parse(stdout)], [0, '', 'object'], words.join(' '))
    }
  })

  it('filters instances by cell, service and slot', async () => {
    const slots = async (of: string): Promise<string[]> => {
      const { stdout } = await tutti(['ps', of, '--json'], { peer })
      return (JSON.parse(stdout) as { instances: { slot: string }[] }).instances.map(({ slot }) => slot)
    }
    assert.deepEqual(await slots('shop'), ['shop/web/0', 'shop/cart/0'])
    assert.deepEqual(await slots('shop/web'), ['shop/web/0'])
    assert.deepEqual(await slots('shop/web/0'), ['shop/web/0'])
  })

  it('shows what is unfulfilled, and for how long', async () => {
    const { stdout } = await tutti(['status'], { peer })
    assert.equal(
      stdout,
      'not settled\n  b: starting shop/web/2\nshop\n  shop/web: 2/3 ready, releasing release abc\n    unfulfilled shop/web/2 on b for 1m: exited with 1\n      | no database\n',
    )
  })

  it('makes logs harmless for a terminal, and leaves them as they are for everything else', async () => {
    const { stdout } = await tutti(['logs', 'shop/web'], { peer, isTerminal: true })
    assert.ok(stdout.includes('first\u241b]0;x\u2407'), stdout)
    assert.ok((await tutti(['logs', 'shop/web'], { peer })).stdout.includes('first\u001b]0;x\u0007'))
  })

  it('hands the limits of logs on', async () => {
    const limits = [
      '--until',
      '2031-05-04T10:00:00Z',
      '--stream',
      'stderr',
      '--grep',
      'a b',
      '--since',
      '2031-05-04',
    ]
    await tutti(['logs', ...limits, 'shop'], { peer })
    const query = peer.asked.at(-1)?.url.searchParams
    assert.deepEqual(
      ['of', 'since', 'until', 'stream', 'grep'].map((name) => query?.get(name)),
      ['shop', `${Date.UTC(2031, 4, 4)}`, `${Date.UTC(2031, 4, 4, 10)}`, 'stderr', 'a b'],
    )
    assert.equal((await tutti(['logs', '-f', '--until', '1m', 'shop'], { peer })).code, 2)
  })

  it('prints logs as told by the peer, with notices on stderr', async () => {
    const { stdout, stderr } = await tutti(['logs', '-n', '5', '--since', '1m', 'shop/web'], { peer })
    assert.equal(stdout, 'shop/web/0 a | first\u001b]0;x\u0007\nshop/web/1 a | second\n')
    assert.equal(stderr, 'shop/web/0 a: b is away\n')
    const query = peer.asked.at(-1)?.url.searchParams
    assert.deepEqual(
      [query?.get('of'), query?.get('tail'), query?.has('since'), query?.has('follow')],
      ['shop/web', '5', true, false],
    )
  })

  it('explains one slot as one object', async () => {
    const value = JSON.parse((await tutti(['explain', 'shop/web/0', '--json'], { peer })).stdout) as Record<
      string,
      unknown
    >
    assert.deepEqual(Object.keys(value), [
      'slot',
      'peer',
      'reason',
      'version',
      'candidates',
      'unfulfilled',
      'changes',
      'asOf',
    ])
    const { stdout } = await tutti(['explain', 'shop/web/0'], { peer })
    assert.equal(
      stdout,
      'shop/web/0 on a: first choice\nRANK\tPEER\tELIGIBLE\tREASONS\n1\ta\tyes\tfits\nunfulfilled: crash loop (last exit: 7)\n  | no database\nwould change it: cordon a\n',
    )
  })

  it('prints only the ticket on stdout', async () => {
    const { stdout } = await tutti(['invite', '--expires', '30m', '--uses', '2'], { peer })
    assert.equal(stdout, 'tutti1-abc\n')
    assert.deepEqual(bodies().at(-1), { expiresMs: 1_800_000, uses: 2 })
  })

  it('gives the token to the peer', async () => {
    await tutti(['ls'], { peer, environment: { TUTTI_TOKEN: 'x' } })
    assert.equal(peer.asked.at(-1)?.token, 'Bearer x')
  })
})
