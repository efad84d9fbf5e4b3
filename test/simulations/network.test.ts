// The simulated network: it passes the contract every Transport must, is deterministic, and breaks in the ways it says.

import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { utf8 } from '../../lib/bytes.ts'
import { seededRandom } from '../../lib/random.ts'
import { signerFromSeed } from '../../lib/signature.ts'
import type { Clock } from '../../lib/time.ts'
import { SimulatedNetwork, type NetworkOptions } from '../../simulations/network.ts'
import { transportContract } from '../contracts/transport.ts'
import { connectPeers, type Fleet, type Peer, startPeers } from '../contracts/transport/fleet.ts'

/** A clock that stands still between `step`s. */
class ManualClock implements Clock {
  #now = 0
  #serial = 0
  #timers: { readonly dueMs: number; readonly serial: number; readonly fire: () => void }[] = []

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  after(delayMs: number, fire: () => void): () => void {
    const timer = { dueMs: this.#now + delayMs, serial: this.#serial, fire }
    this.#serial += 1
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Fires the next timer; false when there is none. */
  step(): boolean {
    const next = this.#timers.toSorted((a, b) => a.dueMs - b.dueMs || a.serial - b.serial)[0]
    if (next === undefined) return false
    this.#timers = this.#timers.filter((other) => other !== next)
    this.#now = Math.max(this.#now, next.dueMs)
    next.fire()
    return true
  }
}

// Far more than any scenario here needs.
const STEPS_MAX = 20_000

interface SimulatedFleet extends Fleet {
  readonly network: SimulatedNetwork
  readonly clock: ManualClock
}

const makeFleet = async (size: number, options: Partial<NetworkOptions> = {}): Promise<SimulatedFleet> => {
  const clock = new ManualClock()
  const network = new SimulatedNetwork({ clock, random: seededRandom('fleet'), ...options })
  const transports = Array.from({ length: size }, (_, at) =>
    network.transport(signerFromSeed(new Uint8Array(32).fill(100 + at)).member),
  )
  const until = async (condition: () => boolean, what: string): Promise<void> => {
    for (let steps = 0; !condition(); steps += 1) {
      assert.ok(steps < STEPS_MAX, `never came true: ${what}`)
      clock.step()
      await turn()
    }
  }
  return {
    network,
    clock,
    transports,
    until,
    run: async (work) => {
      let done = false
      const finish = (): void => {
        done = true
      }
      work.then(finish, finish)
      await turn()
      await until(() => done, 'the work ends')
      return work
    },
    join: (ticketSeed, addresses, body) => network.requestJoin({ ticketSeed, addresses, body }),
    close: async () => {
      for (const transport of transports) await transport.stop()
    },
  }
}

transportContract('simulated network', (size) => makeFleet(size))

const pair = async (
  options: Partial<NetworkOptions> = {},
): Promise<readonly [SimulatedFleet, Peer, Peer]> => {
  const fleet = await makeFleet(2, options)
  const [a, b] = await startPeers(fleet)
  assert.ok(a !== undefined && b !== undefined)
  await connectPeers(fleet, a, b)
  return [fleet, a, b]
}

describe('SimulatedNetwork', () => {
  it('replays the same deliveries at the same times from the same seed', async () => {
    const runOnce = async (): Promise<string> => {
      const fleet = await makeFleet(4, { link: { delayMaxMs: 50, lossRate: 0.2, duplicateRate: 0.3 } })
      const peers = await startPeers(fleet)
      for (const a of peers) for (const b of peers) if (a.id < b.id) await connectPeers(fleet, a, b)
      for (let at = 0; at < 20; at += 1) {
        for (const peer of peers) {
          peer.transport.publish(utf8(`${peer.id} ${at}`))
          for (const other of peers) peer.transport.send(other.id, 'sync', utf8(`${at}`))
        }
      }
      while (fleet.clock.step()) await turn()
      return JSON.stringify([fleet.clock.now(), peers.map((peer) => [peer.texts('sync'), peer.gossiped])])
    }
    assert.equal(await runOnce(), await runOnce())
  })

  it('loses at its rate and keeps the order of the rest', async () => {
    const [fleet, a, b] = await pair({ link: { lossRate: 0.5, delayMaxMs: 100 } })
    for (let at = 0; at < 400; at += 1) a.transport.send(b.id, 'sync', utf8(`${at}`))
    while (fleet.clock.step()) await turn()
    const got = b.texts('sync').map(Number)
    assert.ok(got.length > 120 && got.length < 280, `${got.length} arrived`)
    assert.deepEqual(
      got,
      got.toSorted((x, y) => x - y),
    )
  })

  it('holds what is sent over a cut link and delivers it when it heals soon', async () => {
    const [fleet, a, b] = await pair()
    fleet.network.cutOneWay(a.id, b.id)
    a.transport.send(b.id, 'sync', utf8('waits'))
    b.transport.send(a.id, 'sync', utf8('passes'))
    await fleet.until(() => a.messages.length === 1, 'the other direction works')
    assert.equal(b.messages.length, 0)
    fleet.network.heal()
    await fleet.until(() => b.messages.length === 1, 'the held message arrives')
    assert.deepEqual([a.events.length, b.events.length], [1, 1])
  })

  it('loses the connections of a link that stays cut, silently', async () => {
    const [fleet, a, b] = await pair()
    fleet.network.partition([[a.id], [b.id]])
    await fleet.until(() => !a.sees(b) && !b.sees(a), 'both ends give up')
    assert.deepEqual([a.silences, b.silences], [[true], [true]])
    assert.equal(await fleet.run(a.transport.dial(b.id, b.transport.addresses())), false)
    fleet.network.heal()
    await connectPeers(fleet, a, b)
  })

  it('tells a killed process from one that lost its power', async () => {
    const [killed, a, b] = await pair()
    killed.network.kill(b.id)
    await killed.until(() => !a.sees(b), 'the close arrives')
    assert.deepEqual(a.silences, [false])
    const [dark, c, d] = await pair()
    dark.network.powerOff(d.id)
    while (dark.clock.step()) await turn()
    assert.ok(c.sees(d), 'nobody said anything')
    assert.equal(await dark.run(c.transport.dial(d.id, d.transport.addresses())), true)
    c.transport.disconnect(d.id)
    assert.deepEqual(c.silences, [true])
    assert.equal(await dark.run(c.transport.dial(d.id, d.transport.addresses())), false)
  })

  it('takes a restarted member back although its old connection still looks alive', async () => {
    const [fleet, a, b] = await pair()
    fleet.network.powerOff(b.id)
    const again = fleet.network.transport(b.id)
    again.setMembers(new Set([a.id, b.id]))
    const heard: string[] = []
    await again.start({
      connected: (member) => heard.push(`+${member}`),
      disconnected: (member) => heard.push(`-${member}`),
      message: (_from, channel) => heard.push(channel),
      gossip: () => 'accept',
      request: async function* () {},
      join: async () => new Uint8Array(),
    })
    assert.equal(await fleet.run(again.dial(a.id, a.transport.addresses())), true)
    assert.deepEqual(a.events, [`+${b.id}`], 'one connection follows the other without a gap')
    a.transport.send(b.id, 'beat', utf8('x'))
    await fleet.until(() => heard.includes('beat'), 'messages take the live connection')
  })

  it('delivers nothing to a frozen member until it thaws', async () => {
    const [fleet, a, b] = await pair()
    fleet.network.freeze(b.id)
    a.transport.send(b.id, 'beat', utf8('x'))
    while (fleet.clock.step()) await turn()
    assert.equal(b.messages.length, 0)
    fleet.network.thaw(b.id)
    await fleet.until(() => b.messages.length === 1, 'it arrives after the thaw')
  })
})
