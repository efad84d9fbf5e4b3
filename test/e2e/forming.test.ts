// How a cluster comes to be, on real processes: alone, by ticket, by address and token, through any member; and who keeps
// out. A refusal is one sentence, exit code 3, and leaves the cluster as it was.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeTicket, parseTicket } from '../../net/ticket.ts'
import { Fleet, type Peer, type StoppedError, tutti, until, withFleet } from './support/fleet.ts'

/** One line on stderr, lower case after the program's name, and no trace of code. */
const assertSentence = (text: string, pattern: RegExp): void => {
  const lines = text.trim().split('\n')
  assert.equal(lines.length, 1, text)
  assert.match(text, pattern)
  assert.doesNotMatch(text, /\bat .*\.ts:\d+|Error:/)
}

describe('forming a cluster', () => {
  it('a peer alone is a cluster of one that takes edits', () =>
    withFleet(async (fleet) => {
      const alone = fleet.peer({ name: 'alone' })
      await alone.up()
      const { peers } = await alone.peers()
      assert.deepEqual(
        peers.map(({ name, state, self }) => ({ name, state, self })),
        [{ name: 'alone', state: 'alive', self: true }],
      )
      assert.match(alone.output, /^peer alone created cluster [0-9a-f]{8} and answers on \S+tutti\.sock\n/)
      assert.equal((await alone.status()).settled, true)
    }))

  it('the ticket of invite admits a machine, and join returns when it is in sync', () =>
    withFleet(async (fleet) => {
      const [first, other] = [fleet.peer({ name: 'a' }), fleet.peer({ name: 'b' })]
      await Promise.all([first.up(), other.up()])
      const invited = await first.cli('invite')
      assert.equal(invited.code, 0)
      const joined = await other.cli('join', invited.stdout.trim(), '--json')
      assert.equal(joined.code, 0, joined.stderr)
      const { members } = JSON.parse(joined.stdout) as { members: number }
      assert.equal(members, 2)
      assert.equal(await other.digest(), await first.digest())
      await fleet.agree([first, other])
    }))

  it('any member serves as the way in: the second one, when the first is gone (join by address and token)', () =>
    withFleet(async (fleet) => {
      const [first, second] = await fleet.grow(2)
      assert.ok(first !== undefined && second !== undefined)
      const { token } = await first.invite()
      const digest = await first.digest()
      await until('the second knows of the invite', async () => (await second.digest()) === digest)
      await first.end('SIGKILL')
      const [address = ''] = (await second.sees('p1')).addresses
      const third = fleet.peer({ name: 'p2' })
      await third.up(['--join', address, '--token', token])
      await fleet.agree([second, third])
    }))

  it('finds together again when the founder is killed as soon as it sees who joined, and comes back at another port', () =>
    withFleet(async (fleet) => {
      const [first, second] = await fleet.grow(2)
      assert.ok(first !== undefined && second !== undefined)
      await first.end('SIGKILL')
      await rm(join(first.data, 'listen-ports'))
      await first.up()
      await fleet.agree([first, second])
    }))

  it('whose members took any port finds together again when all are killed and started at once', () =>
    withFleet(async (fleet) => {
      const peers = await fleet.grow(3)
      const before = await Promise.all(peers.map(async (peer) => (await peer.sees(peer.name)).addresses))
      await Promise.all(peers.map((peer) => peer.end('SIGKILL')))
      await Promise.all(peers.map((peer) => peer.up()))
      await fleet.agree(peers)
      const after = await Promise.all(peers.map(async (peer) => (await peer.sees(peer.name)).addresses))
      // A dial of another peer may have had one of the ports just then; all of them elsewhere would find nobody.
      const again = after.filter((addresses, at) => addresses.join() === before[at]?.join())
      assert.ok(again.length >= 2, `${before.join(' ')} became ${after.join(' ')}`)
    }))

  it('two newcomers at once are both admitted, under the names they chose', () =>
    withFleet(async (fleet) => {
      const peers = await fleet.grow(4)
      const [first] = peers
      assert.ok(first !== undefined)
      const names = (await first.peers()).peers.map(({ name }) => name)
      assert.deepEqual(names.toSorted(), ['p0', 'p1', 'p2', 'p3'])
    }))
})

describe('a cluster that is asked to let in whom it should not', () => {
  let fleet: Fleet
  let first: Peer
  before(async () => {
    fleet = await Fleet.create()
    first = fleet.peer({ name: 'a' })
    await first.up()
  })
  after(() => fleet.close())

  let count = 0
  /** Starts a newcomer that is turned away; says what it printed, and checks that the cluster did not change. */
  const turnedAway = async (ticket: string, more: readonly string[] = []): Promise<StoppedError> => {
    count += 1
    const newcomer = fleet.peer({ name: `n${count}` })
    const before = await first.digest()
    const refused = await newcomer.refused(['--join', ticket, ...more])
    assert.equal(await first.digest(), before, 'the refusal changed the intent')
    assert.ok(!existsSync(join(newcomer.data, 'cluster.json')), 'the newcomer believes that it is a member')
    return refused
  }

  it('refuses an expired ticket', async () => {
    const { ticket, expiresAt } = await first.invite(1, 1000)
    await until('the ticket has expired', () => Date.now() > expiresAt)
    const { code, output } = await turnedAway(ticket)
    assert.equal(code, 3)
    assertSentence(output, /the ticket expired .* ago; ask for a new one with '\S*tutti invite'/)
  })

  it('refuses an expired ticket whose expiry was changed by hand', async () => {
    const { ticket, expiresAt } = await first.invite(1, 1000)
    await until('the ticket has expired', () => Date.now() > expiresAt)
    const longer = encodeTicket({ ...parseTicket(ticket), expiresAt: expiresAt + 3_600_000 })
    const { code, output } = await turnedAway(longer)
    assert.equal(code, 3)
    assertSentence(output, /the ticket expired/)
  })

  it('refuses a ticket that is used up', async () => {
    const { ticket } = await first.invite(1)
    const welcome = fleet.peer({ name: 'welcome' })
    await welcome.up(['--join', ticket])
    await fleet.agree([first, welcome])
    const { code, output } = await turnedAway(ticket)
    assert.equal(code, 3)
    assertSentence(output, /used up/)
  })

  it('refuses a forged ticket: another secret under the same expiry and addresses (S12)', async () => {
    const { ticket } = await first.invite()
    const forged = encodeTicket({ ...parseTicket(ticket), seed: new Uint8Array(32).fill(7) })
    const { code, output } = await turnedAway(forged)
    assert.ok(code === 3 || code === 1, `${code}: ${output}`)
    assertSentence(output, /ticket|reach|refused/)
  })

  it('refuses a ticket of another cluster (S12)', async () => {
    const stranger = fleet.peer({ name: 'stranger' })
    await stranger.up()
    const { ticket } = await stranger.invite()
    const { addresses } = await first.invite()
    const foreign = encodeTicket({ ...parseTicket(ticket), addresses })
    const { code, output } = await turnedAway(foreign)
    assert.ok(code === 3 || code === 1, `${code}: ${output}`)
    assertSentence(output, /ticket|reach|refused/)
  })

  it('refuses a token that is good at an address that is not the cluster’s', async () => {
    const other = fleet.peer({ name: 'elsewhere' })
    await other.up()
    const { token } = await first.invite()
    const [address = ''] = (await other.sees('elsewhere')).addresses
    const { code, output } = await turnedAway(address, ['--token', token])
    assert.ok(code === 3 || code === 1, `${code}: ${output}`)
    assertSentence(output, /ticket|reach|refused/)
  })

  it('refuses a truncated ticket and what is no ticket, before it asks anybody', async () => {
    const { ticket } = await first.invite()
    const truncated = await turnedAway(ticket.slice(0, -9))
    assert.equal(truncated.code, 3)
    assertSentence(truncated.output, /the ticket is incomplete or damaged; copy the whole line/)
    const nonsense = await turnedAway('ticket-please')
    assert.equal(nonsense.code, 2)
    assertSentence(nonsense.output, /not a ticket/)
  })

  it('says in time that nobody is at the ticket’s addresses', async () => {
    const { ticket } = await first.invite()
    const nowhere = encodeTicket({
      ...parseTicket(ticket),
      addresses: ['/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGzBQZkA3XmVYGNRmHZGNyvxeH2dWrCpzz4vFp9WFyPyp'],
    })
    const { code, output } = await turnedAway(nowhere)
    assert.equal(code, 1)
    assertSentence(output, /reach/)
  })

  it('refuses a name that is taken', async () => {
    const { ticket } = await first.invite()
    const before = await first.digest()
    const twin = fleet.peer({ name: 'a', data: join(fleet.directory, 'twin') })
    const { code, output } = await twin.refused(['--join', ticket])
    assert.equal(code, 3)
    assertSentence(output, /the name 'a' is taken by another member; give another one with --name/)
    assert.equal(await first.digest(), before)
  })

  it('a second peer on the same data directory is refused, and the first runs on', async () => {
    const { code, stderr } = await tutti(['up', '--data', first.data, '--listen', '/ip4/127.0.0.1/tcp/0'])
    assert.equal(code, 1)
    assertSentence(stderr, /another peer/)
    assert.equal((await first.sees('a')).state, 'alive')
  })

  it('a command without a peer says so and how to start one', async () => {
    const { code, stderr } = await tutti(['ps', '--peer', join(fleet.directory, 'no.sock')])
    assert.equal(code, 1)
    assertSentence(stderr, /tutti up/)
  })
})
