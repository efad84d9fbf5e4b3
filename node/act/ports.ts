// Ports of instances: which number a named port gets on this machine. Handed out are numbers that the kernel gives to
// nobody by itself, that no living instance holds and that can be bound at this moment. Between that moment and the
// program's own bind somebody else may take one; the program's exit and the next spawn then find another.

import { createServer } from 'node:net'
import { TuttiError } from '../../lib/errors.ts'
import { hash32 } from '../../lib/hash.ts'
import type { InstanceId } from '../../lib/ids.ts'
import { compareStrings } from '../../lib/order.ts'

/** Hands out ports. */
export interface Ports {
  /**
   * Numbers for the named ports (0: any; other: exactly this one), held for the instance until `release`. Those it had
   * before, it gets again where they are free. @throws TuttiError `conflict` with what holds a fixed one.
   */
  allocate(
    instance: InstanceId,
    named: Readonly<Record<string, number>>,
    before: Readonly<Record<string, number>>,
  ): Promise<Readonly<Record<string, number>>>
  /** Marks ports of an adopted instance as held. */
  hold(instance: InstanceId, ports: Readonly<Record<string, number>>): void
  release(instance: InstanceId): void
}

/** Why a port cannot be bound now; null: it can. */
export type PortCheck = (port: number) => Promise<string | null>

// Below the kernel's ephemeral range (32768 on), from which any outgoing connection may take a number at any time, and
// above the numbers that services are known by.
export const PORT_FIRST = 20_000
export const PORT_LAST = 31_999

/** Tries to listen on all addresses, as a program would. */
export const checkPort: PortCheck = async (port) => {
  const tryHost = async (host: string): Promise<string | null> =>
    await new Promise((resolve) => {
      const server = createServer()
      server.once('error', (error) => {
        resolve('code' in error ? String(error.code) : error.message)
      })
      server.listen({ port, host, exclusive: true }, () => {
        server.close(() => {
          resolve(null)
        })
      })
    })
  // `::` takes IPv4 too; machines without IPv6 say so.
  const failure = await tryHost('::')
  return failure === 'EAFNOSUPPORT' || failure === 'EADDRNOTAVAIL' ? await tryHost('0.0.0.0') : failure
}

const sentenceOf = (name: string, port: number, failure: string): string => {
  if (failure === 'EADDRINUSE')
    return `port ${port} ('${name}') is in use on this machine; stop what listens on it or change the port`
  if (failure === 'EACCES')
    return `port ${port} ('${name}') may not be bound by this user; choose one above 1023 or run the peer as root`
  return `port ${port} ('${name}') cannot be bound: ${failure}`
}

/** Ports of one peer. `seed` (its id) spreads the peers of one machine over the range. */
export const createPorts = (seed: string, check: PortCheck = checkPort): Ports => {
  const size = PORT_LAST - PORT_FIRST + 1
  const holders = new Map<number, InstanceId>()
  let cursor = hash32(`ports/${seed}`) % size

  const release = (instance: InstanceId): void => {
    for (const [port, holder] of holders) if (holder === instance) holders.delete(port)
  }
  /** Taken before it is checked, so that two allocations at once cannot both have it. */
  const take = async (instance: InstanceId, port: number): Promise<string | null> => {
    holders.set(port, instance)
    const failure = await check(port)
    if (failure !== null) holders.delete(port)
    return failure
  }
  const takeFixed = async (instance: InstanceId, name: string, port: number): Promise<number> => {
    const holder = holders.get(port)
    if (holder !== undefined) {
      throw new TuttiError(
        'conflict',
        `port ${port} ('${name}') is held by ${holder} on this peer; a fixed port runs once a machine`,
      )
    }
    const failure = await take(instance, port)
    if (failure !== null) throw new TuttiError('conflict', sentenceOf(name, port, failure))
    return port
  }
  const takeAny = async (instance: InstanceId, before: number | undefined): Promise<number> => {
    if (before !== undefined && !holders.has(before) && (await take(instance, before)) === null) return before
    for (let tries = 0; tries < size; tries += 1) {
      const port = PORT_FIRST + cursor
      cursor = (cursor + 1) % size
      if (!holders.has(port) && (await take(instance, port)) === null) return port
    }
    throw new TuttiError('conflict', `no port from ${PORT_FIRST} to ${PORT_LAST} is free on this machine`)
  }
  return {
    allocate: async (instance, named, before) => {
      release(instance)
      const ports: Record<string, number> = {}
      try {
        for (const name of Object.keys(named)) {
          const wanted = named[name] ?? 0
          ports[name] =
            wanted === 0 ? await takeAny(instance, before[name]) : await takeFixed(instance, name, wanted)
        }
      } catch (error) {
        release(instance)
        throw error
      }
      return Object.fromEntries(Object.entries(ports).toSorted(([a], [b]) => compareStrings(a, b)))
    },
    hold: (instance, ports) => {
      for (const port of Object.values(ports)) holders.set(port, instance)
    },
    release,
  }
}
