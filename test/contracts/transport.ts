// What every Transport must do (net/transport.ts), as one suite: production over libp2p and the simulated network both
// pass it. It waits on conditions only; whoever implements a fleet decides how time passes meanwhile.

import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { textOf, utf8 } from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import { signerFromSeed } from '../../lib/signature.ts'
import type { Channel, GossipVerdict, Transport, TransportEvents } from '../../net/transport.ts'

/** A number of transports that can reach each other. None is started, none knows a member. */
export interface Fleet {
  readonly transports: readonly Transport[]
  /** Lets time pass until the condition holds; fails when it does not for long. */
  until(condition: () => boolean, what: string): Promise<void>
  /** Lets time pass until the work is done; its result. */
  run<T>(work: Promise<T>): Promise<T>
  /** Asks to join as a newcomer does, with a ticket's seed, at addresses of members. */
  join(ticketSeed: Uint8Array, addresses: readonly string[], body: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

export type MakeFleet = (size: number) => Promise<Fleet>

/** One member of a fleet and all that it was told. */
export class Peer {
  readonly transport: Transport
  readonly events: string[] = []
  readonly messages: { readonly from: MemberId; readonly channel: Channel; readonly bytes: Uint8Array }[] = []
  readonly gossiped: string[] = []
  readonly silences: boolean[] = []
  verdict: (text: string) => GossipVerdict = () => 'accept'
  answer: TransportEvents['request'] = async function* () {
    yield utf8('nothing is answered here')
  }
  admit: TransportEvents['join'] = async () => {
    throw new TuttiError('refused', 'nobody joins here')
  }

  constructor(transport: Transport) {
    this.transport = transport
  }

  get id(): MemberId {
    return this.transport.self
  }

  start(): Promise<void> {
    return this.transport.start({
      connected: (member) => this.events.push(`+${member}`),
      disconnected: (member, silent) => {
        this.events.push(`-${member}`)
        this.silences.push(silent)
      },
      message: (from, channel, bytes) => this.messages.push({ from, channel, bytes }),
      gossip: (_from, bytes) => {
        this.gossiped.push(textOf(bytes))
        return this.verdict(textOf(bytes))
      },
      request: (from, method, body, signal, input) => this.answer(from, method, body, signal, input),
      join: (invite, body) => this.admit(invite, body),
    })
  }

  texts(channel: Channel): readonly string[] {
    return this.messages.filter((message) => message.channel === channel).map(({ bytes }) => textOf(bytes))
  }

  sees(other: Peer): boolean {
    return this.transport.connections().has(other.id)
  }
}

/** Started peers that admit each other; nobody is connected yet. */
export const startPeers = async (fleet: Fleet): Promise<readonly Peer[]> => {
  const peers = fleet.transports.map((transport) => new Peer(transport))
  const members = new Set(peers.map((peer) => peer.id))
  for (const peer of peers) {
    peer.transport.setMembers(members)
    await peer.start()
  }
  return peers
}

/** Connects two peers and waits until both know. */
export const connectPeers = async (fleet: Fleet, from: Peer, to: Peer): Promise<void> => {
  assert.equal(await fleet.run(from.transport.dial(to.id, to.transport.addresses())), true)
  await fleet.until(() => from.sees(to) && to.sees(from), 'both ends know of the connection')
}

/** Publishes fresh texts until the condition holds: gossip is best effort while a mesh still forms. */
export const publishUntil = async (
  fleet: Fleet,
  from: Peer,
  prefix: string,
  condition: () => boolean,
): Promise<void> => {
  let round = 0
  await fleet.until(() => {
    if (condition()) return true
    from.transport.publish(utf8(`${prefix}-${round}`))
    round += 1
    return false
  }, `gossip '${prefix}' arrives`)
}

const heard = (peer: Peer, prefix: string): boolean =>
  peer.gossiped.some((text) => text.startsWith(`${prefix}-`))

const collect = async (parts: AsyncIterable<Uint8Array>): Promise<readonly Uint8Array[]> => {
  const all: Uint8Array[] = []
  for await (const part of parts) all.push(part)
  return all
}

const failsWith = (code: string, pattern: RegExp) => (thrown: unknown) => {
  assert.ok(thrown instanceof TuttiError, String(thrown))
  assert.equal(thrown.code, code, thrown.message)
  assert.match(thrown.message, pattern)
  return true
}

const TICKET_SEED = new Uint8Array(32).fill(7)
const TICKET_KEY = signerFromSeed(TICKET_SEED).member
const never = (): AbortSignal => new AbortController().signal

/** Runs the suite against fleets of one implementation. */
export const transportContract = (name: string, makeFleet: MakeFleet): void => {
  describe(`${name} (transport contract)`, () => {
    let fleet: Fleet | null = null
    const open = async (size: number): Promise<readonly [Fleet, readonly Peer[]]> => {
      fleet = await makeFleet(size)
      return [fleet, await startPeers(fleet)]
    }
    const openTwo = async (): Promise<readonly [Fleet, Peer, Peer]> => {
      const [opened, [a, b]] = await open(2)
      assert.ok(a !== undefined && b !== undefined)
      return [opened, a, b]
    }
    const connectedTwo = async (): Promise<readonly [Fleet, Peer, Peer]> => {
      const two = await openTwo()
      await connectPeers(...two)
      return two
    }
    afterEach(async () => {
      await fleet?.close()
      fleet = null
    })
    connectionClaims(openTwo, connectedTwo)
    channelClaims(openTwo, connectedTwo)
    gossipClaims(open)
    requestClaims(openTwo, connectedTwo)
    conversationClaims(connectedTwo)
    joinClaims(openTwo)
  })
}

type Two = () => Promise<readonly [Fleet, Peer, Peer]>

const connectionClaims = (openTwo: Two, connectedTwo: Two): void => {
  it('names its own key in every address', async () => {
    const [, a] = await openTwo()
    assert.ok(a.transport.addresses().length > 0)
    for (const address of a.transport.addresses()) assert.ok(address.endsWith(`/p2p/${a.id}`), address)
  })

  it('reports a connection once on each side', async () => {
    const [fleet, a, b] = await connectedTwo()
    assert.equal(await fleet.run(a.transport.dial(b.id, b.transport.addresses())), true)
    assert.deepEqual(a.events, [`+${b.id}`])
    assert.deepEqual(b.events, [`+${a.id}`])
  })

  it('answers false when nobody is at the address, or somebody else is', async () => {
    const [fleet, a, b] = await openTwo()
    const stranger = signerFromSeed(new Uint8Array(32).fill(99)).member
    a.transport.setMembers(new Set([a.id, b.id, stranger]))
    const elsewhere = b.transport.addresses().map((address) => address.replace(b.id, stranger))
    assert.equal(await fleet.run(a.transport.dial(stranger, elsewhere)), false)
    assert.equal(await fleet.run(a.transport.dial(b.id, [])), false)
    assert.deepEqual([...a.events, ...b.events], [])
  })

  it('neither dials nor admits a key that is not a member (S12)', async () => {
    const [fleet, a, b] = await openTwo()
    b.transport.setMembers(new Set([b.id]))
    assert.equal(await fleet.run(b.transport.dial(a.id, a.transport.addresses())), false)
    assert.equal(await fleet.run(a.transport.dial(b.id, b.transport.addresses())), false)
    await fleet.until(() => !a.sees(b), 'the refused connection is gone')
    assert.equal(a.events.length % 2, 0, 'a connection that was reported is reported as ended')
    assert.deepEqual(b.events, [])
  })

  it('cuts a removed member at once and lets it in again when it is back (S12)', async () => {
    const [fleet, a, b] = await connectedTwo()
    a.transport.setMembers(new Set([a.id]))
    await fleet.until(() => !a.sees(b) && !b.sees(a), 'the removed member is cut')
    assert.equal(a.transport.send(b.id, 'sync', utf8('late')), false)
    assert.equal(await fleet.run(b.transport.dial(a.id, a.transport.addresses())), false)
    a.transport.setMembers(new Set([a.id, b.id]))
    await fleet.until(() => !b.sees(a), 'the refused connection is gone')
    await connectPeers(fleet, b, a)
    assert.deepEqual(b.texts('sync'), [])
  })

  it('tells a close from a cut of its own', async () => {
    const [fleet, a, b] = await connectedTwo()
    a.transport.disconnect(b.id)
    await fleet.until(() => a.silences.length === 1 && b.silences.length === 1, 'both know')
    assert.deepEqual([a.silences, b.silences], [[true], [false]])
  })

  it('reports a member that stops as gone with a word', async () => {
    const [fleet, a, b] = await connectedTwo()
    await fleet.run(b.transport.stop())
    await fleet.until(() => !a.sees(b), 'the stopped member is gone')
    assert.deepEqual(a.silences, [false])
    assert.deepEqual(b.events, [`+${a.id}`], 'nothing is reported after the stop')
  })
}

const channelClaims = (openTwo: Two, connectedTwo: Two): void => {
  it('delivers messages in order on each channel, both ways', async () => {
    const [fleet, a, b] = await connectedTwo()
    const texts = Array.from({ length: 50 }, (_, at) => `m${at}`)
    for (const text of texts) {
      for (const channel of ['beat', 'sync'] as const) {
        assert.equal(a.transport.send(b.id, channel, utf8(text)), true)
        assert.equal(b.transport.send(a.id, channel, utf8(text)), true)
      }
    }
    await fleet.until(() => a.messages.length === 100 && b.messages.length === 100, 'all messages arrive')
    for (const peer of [a, b]) {
      assert.deepEqual(peer.texts('beat'), texts)
      assert.deepEqual(peer.texts('sync'), texts)
    }
  })

  it('carries an empty message and the largest one', async () => {
    const [fleet, a, b] = await connectedTwo()
    const large = Uint8Array.from({ length: LIMITS.messageBytesMax }, (_, at) => at % 251)
    assert.equal(a.transport.send(b.id, 'sync', new Uint8Array()), true)
    assert.equal(a.transport.send(b.id, 'sync', large), true)
    await fleet.until(() => b.messages.length === 2, 'both messages arrive')
    assert.equal(b.messages[0]?.bytes.length, 0)
    assert.ok(Buffer.from(large).equals(b.messages[1]?.bytes ?? new Uint8Array()))
    assert.equal(a.transport.send(b.id, 'sync', new Uint8Array(LIMITS.messageBytesMax + 1)), false)
  })

  it('answers false without a connection and when the queue is full (S14)', async () => {
    const [fleet, a, b] = await openTwo()
    assert.equal(a.transport.send(b.id, 'beat', utf8('x')), false)
    await connectPeers(fleet, a, b)
    let taken = 0
    while (taken < 100 && a.transport.send(b.id, 'sync', new Uint8Array(1024 * 1024).fill(taken))) taken += 1
    assert.ok(taken >= 2 && taken < 100, `${taken} messages were taken`)
    await fleet.until(() => b.messages.length === taken, 'all taken messages arrive')
    assert.deepEqual(
      b.messages.map(({ bytes }) => bytes[0]),
      Array.from({ length: taken }, (_, at) => at),
    )
    assert.equal(a.transport.send(b.id, 'sync', utf8('again')), true)
  })
}

const gossipClaims = (open: (size: number) => Promise<readonly [Fleet, readonly Peer[]]>): void => {
  it('brings gossip to everyone, over members in between, once', async () => {
    const [fleet, peers] = await open(4)
    const [first, second] = peers
    assert.ok(first !== undefined && second !== undefined)
    for (const [at, peer] of peers.slice(1).entries()) await connectPeers(fleet, peers[at] ?? first, peer)
    const others = peers.slice(1)
    await publishUntil(fleet, first, 'news', () => others.every((peer) => heard(peer, 'news')))
    await publishUntil(fleet, second, 'reply', () => heard(first, 'reply'))
    for (const peer of peers) assert.equal(new Set(peer.gossiped).size, peer.gossiped.length)
    assert.ok(!heard(first, 'news'), 'nobody hears itself')
  })

  it('forwards what is accepted, and neither what is ignored nor what is rejected (S4)', async () => {
    const [fleet, [a, b, c]] = await open(3)
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    await connectPeers(fleet, a, b)
    await connectPeers(fleet, b, c)
    b.verdict = (text) => (text.startsWith('bad') ? 'reject' : text.startsWith('odd') ? 'ignore' : 'accept')
    await publishUntil(fleet, a, 'warm', () => heard(c, 'warm'))
    a.transport.publish(utf8('bad-once'))
    await publishUntil(fleet, a, 'odd', () => heard(b, 'odd') && b.gossiped.includes('bad-once'))
    await publishUntil(fleet, a, 'good', () => heard(c, 'good'))
    assert.deepEqual(
      c.gossiped.filter((text) => /^(bad|odd)/.test(text)),
      [],
    )
  })

  it('never throws on publishing: not alone, not twice, not too much', async () => {
    const [, [a]] = await open(1)
    assert.ok(a !== undefined)
    a.transport.publish(utf8('alone'))
    a.transport.publish(utf8('alone'))
    a.transport.publish(new Uint8Array(LIMITS.gossipBytesMax + 1))
  })
}

const requestClaims = (openTwo: Two, connectedTwo: Two): void => {
  it('streams an answer, dialling first where it has to', async () => {
    const [fleet, a, b] = await openTwo()
    b.answer = async function* (from, method, body) {
      yield utf8(`${from} ${method}`)
      yield new Uint8Array(300_000).fill(body[0] ?? 0)
      yield new Uint8Array()
    }
    const answer = a.transport.request(b.id, 'logs', Uint8Array.of(5), {
      signal: never(),
      addresses: b.transport.addresses(),
    })
    const parts = await fleet.run(collect(answer))
    assert.equal(textOf(parts[0] ?? new Uint8Array()), `${a.id} logs`)
    assert.deepEqual(
      parts.map((part) => part.length),
      [parts[0]?.length, 300_000, 0],
    )
    assert.equal(parts[1]?.[299_999], 5)
  })

  it('refuses with the sentence of the other side, also after some parts', async () => {
    const [fleet, a, b] = await connectedTwo()
    b.answer = async function* () {
      yield utf8('one')
      throw new TuttiError('unknown', 'there is no such service here')
    }
    const parts: string[] = []
    const read = async (): Promise<void> => {
      for await (const part of a.transport.request(b.id, 'logs', new Uint8Array(), { signal: never() }))
        parts.push(textOf(part))
    }
    await assert.rejects(fleet.run(read()), failsWith('refused', /no such service/))
    assert.deepEqual(parts, ['one'])
  })

  it('stops both sides when the asker aborts or leaves', async () => {
    const [fleet, a, b] = await connectedTwo()
    let stopped = 0
    b.answer = async function* (_from, _method, _body, signal) {
      yield utf8('first')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      stopped += 1
    }
    const abort = new AbortController()
    const read = async (): Promise<void> => {
      for await (const part of a.transport.request(b.id, 'logs', new Uint8Array(), { signal: abort.signal }))
        if (part.length > 0) abort.abort()
    }
    await assert.rejects(fleet.run(read()), failsWith('timeout', /in time/))
    await fleet.until(() => stopped === 1, 'the answering side stops after the abort')
    const leave = async (): Promise<void> => {
      for await (const part of a.transport.request(b.id, 'logs', new Uint8Array(), { signal: never() }))
        if (part.length > 0) break
    }
    await fleet.run(leave())
    await fleet.until(() => stopped === 2, 'the answering side stops after the asker left')
  })

  it('says unreachable without a connection and when the connection breaks', async () => {
    const [fleet, a, b] = await openTwo()
    const ask = () => collect(a.transport.request(b.id, 'logs', new Uint8Array(), { signal: never() }))
    await assert.rejects(fleet.run(ask()), failsWith('unreachable', /no connection/))
    await connectPeers(fleet, a, b)
    let asked = false
    b.answer = async function* (_from, _method, _body, signal) {
      asked = true
      yield utf8('first')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    }
    const pending = assert.rejects(fleet.run(ask()), failsWith('unreachable', /broke/))
    await fleet.until(() => asked, 'the question arrives')
    b.transport.disconnect(a.id)
    await pending
  })
}

const conversationClaims = (connectedTwo: Two): void => {
  const talk = (a: Peer, b: Peer, input: AsyncIterable<Uint8Array>, signal = never()) =>
    a.transport.request(b.id, 'talk', new Uint8Array(), { signal, input })

  it('carries input and answer at the same time, each part as it was, and the end of either', async () => {
    const [fleet, a, b] = await connectedTwo()
    b.answer = async function* (_from, _method, _body, _signal, input) {
      for await (const part of input) yield part
      yield utf8('that was all')
    }
    const large = Uint8Array.from({ length: 300_000 }, (_, at) => at % 253)
    const echoed: Uint8Array[] = []
    // Each part is sent only when the one before has come back.
    let next: () => void = () => undefined
    const input = async function* () {
      for (const part of [utf8('one'), new Uint8Array(), large]) {
        const answered = new Promise<void>((resolve) => (next = resolve))
        yield part
        await answered
      }
    }
    const read = async (): Promise<void> => {
      for await (const part of talk(a, b, input())) {
        echoed.push(part)
        next()
      }
    }
    await fleet.run(read())
    assert.deepEqual(
      echoed.map((part) => part.length),
      [3, 0, 300_000, 12],
    )
    assert.ok(Buffer.from(large).equals(echoed[2] ?? new Uint8Array()))
  })

  it('sends input no faster than it is taken (S14)', async () => {
    const [fleet, a, b] = await connectedTwo()
    let sent = 0
    const partBytes = 256 * 1024
    const partsMax = 400
    const input = async function* () {
      for (; sent < partsMax; sent += 1) yield new Uint8Array(partBytes)
    }
    let take: () => void = () => undefined
    const allowed = new Promise<void>((resolve) => (take = resolve))
    b.answer = async function* (_from, _method, _body, _signal, given) {
      yield utf8('listening')
      await allowed
      let bytes = 0
      for await (const part of given) bytes += part.length
      yield utf8(String(bytes))
    }
    const answers: string[] = []
    let answered = 0
    const read = async (): Promise<void> => {
      for await (const part of talk(a, b, input())) {
        answers.push(textOf(part))
        answered += 1
      }
    }
    const reading = read()
    await fleet.until(() => answered === 1, 'the other side listens')
    // A round trip on the same connection later, all that the windows take is under way.
    await fleet.run(
      collect(a.transport.request(b.id, 'x', new Uint8Array(), { signal: AbortSignal.abort() })).catch(
        () => [],
      ),
    )
    assert.ok(sent < partsMax / 4, `${sent} parts left before one was taken`)
    take()
    await fleet.run(reading)
    assert.equal(answers[1], String(partBytes * partsMax))
  })

  it('ends for both when the answer ends first, and takes no more input', async () => {
    const [fleet, a, b] = await connectedTwo()
    b.answer = async function* (_from, _method, _body, _signal, input) {
      for await (const part of input) {
        yield part
        return
      }
    }
    let sent = 0
    const input = async function* () {
      for (; sent < 1000; sent += 1) yield utf8('again')
    }
    const parts = await fleet.run(collect(talk(a, b, input())))
    assert.deepEqual(parts.map(textOf), ['again'])
    assert.equal(a.sees(b) && b.sees(a), true, 'the connection stays')
  })

  it('tells the answering side when the asker aborts, while it waits for input and while it does not', async () => {
    const [fleet, a, b] = await connectedTwo()
    for (const takes of [true, false]) {
      const ends: string[] = []
      b.answer = async function* (_from, _method, _body, signal, input) {
        signal.addEventListener('abort', () => ends.push('signal'), { once: true })
        yield utf8('first')
        if (takes) {
          try {
            for await (const part of input) assert.ok(part.length >= 0)
            ends.push('input ended')
          } catch {
            ends.push('input broke')
          }
        } else
          await new Promise<void>((resolve) =>
            signal.addEventListener('abort', () => resolve(), { once: true }),
          )
      }
      const abort = new AbortController()
      const input = async function* () {
        yield utf8('x')
        // Never ends by itself.
        await new Promise<void>((resolve) =>
          abort.signal.addEventListener('abort', () => resolve(), { once: true }),
        )
      }
      const read = async (): Promise<void> => {
        for await (const part of talk(a, b, input(), abort.signal)) if (part.length > 0) abort.abort()
      }
      await assert.rejects(fleet.run(read()), failsWith('timeout', /in time/))
      await fleet.until(
        () => ends.includes('signal') && (!takes || ends.includes('input broke')),
        'it is told',
      )
      assert.ok(!ends.includes('input ended'), 'a broken input is not a whole one')
    }
  })
}

const joinClaims = (openTwo: Two): void => {
  it('lets the key of a ticket join, and nothing of it counts as a member', async () => {
    const [fleet, a] = await openTwo()
    a.transport.setInvites(new Set([TICKET_KEY]))
    a.admit = async (invite, body) => utf8(`${invite} ${textOf(body)}`)
    const answer = await fleet.run(fleet.join(TICKET_SEED, a.transport.addresses(), utf8('me')))
    assert.equal(textOf(answer), `${TICKET_KEY} me`)
    assert.deepEqual(a.events, [])
    assert.equal(a.transport.connections().size, 0)
  })

  it('gives a newcomer the sentence it is refused with', async () => {
    const [fleet, a] = await openTwo()
    a.transport.setInvites(new Set([TICKET_KEY]))
    a.admit = async () => {
      throw new TuttiError('refused', 'this ticket has expired')
    }
    const joining = fleet.run(fleet.join(TICKET_SEED, a.transport.addresses(), utf8('me')))
    await assert.rejects(joining, failsWith('refused', /^this ticket has expired$/))
  })

  it('tells a ticket nobody knows from a member nobody reaches', async () => {
    const [fleet, a, b] = await openTwo()
    const joining = fleet.run(fleet.join(TICKET_SEED, a.transport.addresses(), utf8('me')))
    await assert.rejects(joining, failsWith('refused', /does not know this ticket/))
    const addresses = b.transport.addresses()
    await fleet.run(b.transport.stop())
    const alone = fleet.run(fleet.join(TICKET_SEED, addresses, utf8('me')))
    await assert.rejects(alone, failsWith('unreachable', /reached/))
  })
}
