// A fleet of real peers for end-to-end tests and benches, in one temporary directory. Whatever happens, closing it ends
// every process that it or its peers started, found by that directory and killed by pid.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InstancesReply, Operation } from '../../../node/serve/api/contract.ts'
import type { ServiceSpec } from '../../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../../crdt/schema/service-defaults.ts'
import { atExit, killStrays, removeGroups } from './leftovers.ts'
import { Peer, type PeerOptions } from './peer.ts'
import { until } from './wait.ts'

export { killStrays, strays } from './leftovers.ts'
export { Peer, StoppedError, tutti, type Output, type PeerOptions } from './peer.ts'
export { sleepUntilNextLook, throughout, until } from './wait.ts'

export type Instance = InstancesReply['instances'][number]

/** How much of a peer's output a failed test shows. */
const OUTPUT_SHOWN = 3000

/** Peers that start at the same time. */
const JOINING_MAX = 4

export class Fleet {
  readonly peers: Peer[] = []
  readonly directory: string
  readonly #release: () => void

  private constructor(directory: string) {
    this.directory = directory
    this.#release = atExit(() => {
      killStrays(directory)
      rmSync(directory, { recursive: true, force: true })
    })
  }

  static async create(): Promise<Fleet> {
    return new Fleet(await mkdtemp(join(tmpdir(), 'tutti-e2e-')))
  }

  /** A peer that does not run yet. */
  peer(options: PeerOptions): Peer {
    const peer = new Peer(options, options.data ?? join(this.directory, options.name))
    this.peers.push(peer)
    return peer
  }

  /** `count` running peers in one cluster, joined by ticket, all alive to each other. */
  async grow(
    count: number,
    make: (at: number) => PeerOptions = (at) => ({ name: `p${at}` }),
  ): Promise<readonly Peer[]> {
    const first = this.peer(make(0))
    await first.up()
    const { ticket } = await first.invite(Math.max(1, count - 1))
    const rest = Array.from({ length: count - 1 }, (_, at) => this.peer(make(at + 1)))
    // A few at a time: what a fleet of machines does at once, the cores of one machine do one after the other.
    for (let at = 0; at < rest.length; at += JOINING_MAX) {
      await Promise.all(rest.slice(at, at + JOINING_MAX).map((peer) => peer.up(['--join', ticket])))
    }
    const all = [first, ...rest]
    await this.agree(all)
    return all
  }

  /** Waits until each of the peers sees each of them alive, with one digest and nothing left to do. */
  async agree(peers: readonly Peer[], timeoutMs = 30_000): Promise<void> {
    await until(
      `${peers.map(({ name }) => name).join(', ')} agree`,
      async () => {
        const names = new Set(peers.map(({ name }) => name))
        const seen = await Promise.all(peers.map((peer) => peer.peers()))
        const digest = seen[0]?.asOf.digest
        const off = seen.flatMap(({ asOf, peers: list }) =>
          [...names].flatMap((name) => {
            const one = list.find((each) => each.name === name)
            const fine = one?.state === 'alive' && one.digest === digest && one.settled
            return fine && asOf.digest === digest
              ? []
              : [`${asOf.peer}: ${name} ${one?.state} ${one?.digest.slice(0, 6)} settled=${one?.settled}`]
          }),
        )
        if (off.length > 0) throw new Error(off.join('; '))
        return true
      },
      timeoutMs,
    )
  }

  /** What the peers printed, for a failed test. */
  story(): string {
    return this.peers.map(({ name, output }) => `--- ${name}\n${output.slice(-OUTPUT_SHOWN)}`).join('\n')
  }

  /** Ends every peer and every process of theirs, and removes the directory. */
  async close(): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.end('SIGKILL')))
    killStrays(this.directory)
    await Promise.all(this.peers.map(({ data }) => removeGroups(data)))
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 })
    this.#release()
  }
}

/** Runs a scenario on a fleet of its own; a failure says what the peers printed, and nothing is left either way. */
export const withFleet = async (scenario: (fleet: Fleet) => Promise<void>): Promise<void> => {
  const fleet = await Fleet.create()
  try {
    await scenario(fleet)
  } catch (thrown) {
    process.stderr.write(`${fleet.story()}\n`)
    throw thrown
  } finally {
    await fleet.close()
  }
}

/** A service of the cell `e2e` with the given command. */
export const service = (
  name: string,
  command: readonly string[],
  over: Partial<ServiceSpec> = {},
): ServiceSpec => ({
  ...SERVICE_DEFAULTS,
  environment: {},
  ports: {},
  dependsOn: {},
  uses: [],
  constraints: [],
  name,
  command: [...command],
  replicas: 1,
  ...over,
})

/** Does nothing for longer than any test. */
export const IDLE_COMMAND = ['sleep', '100000'] as const

/** A process that does nothing. */
export const idle = (name: string, over: Partial<ServiceSpec> = {}): ServiceSpec =>
  service(name, IDLE_COMMAND, over)

export const applyOf = (...services: readonly ServiceSpec[]): Operation => ({
  kind: 'apply',
  cell: { name: 'e2e', services: [...services] },
})

/** Waits until the service has this many ready instances on living peers, as `peer` sees it; returns them. */
export const ready = (
  peer: Peer,
  name: string,
  count: number,
  timeoutMs = 30_000,
): Promise<readonly Instance[]> =>
  until(
    `${name} has ${count} ready`,
    async () => {
      const { instances } = await peer.instances()
      const found = instances.filter((one) => one.service === name && one.state === 'ready')
      if (found.length === count) return found
      throw new Error(
        instances.map((one) => `${one.slot} ${one.state} on ${one.peer} ${one.reason}`).join('; '),
      )
    },
    timeoutMs,
  )

/** The same instances in the same order, whatever has been asked in between. */
export const fingerprint = (instances: readonly Instance[]): readonly string[] =>
  instances.map(({ slot, peer, pid }) => `${slot} ${peer} ${pid}`).sort()

/** A loopback port that nothing listens on now, for a peer that keeps its address over restarts. */
export const freePort = (): Promise<number> =>
  new Promise((done, failed) => {
    const server = createServer()
    server.on('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => done(address !== null && typeof address === 'object' ? address.port : 0))
    })
  })

/** Waits until the logs of all the peers name these instances' processes: what a start of all at once goes by. */
export const onDisk = async (peers: readonly Peer[], instances: readonly Instance[]): Promise<void> => {
  const written = async ({ data }: Peer): Promise<boolean> => {
    const names = await readdir(join(data, 'log'))
    const logs = await Promise.all(names.map((name) => readFile(join(data, 'log', name), 'latin1')))
    return instances.every(({ pid }) => logs.some((log) => log.includes(`"pid":${pid}`)))
  }
  await until('the status is on every disk', async () =>
    (await Promise.all(peers.map(written))).every(Boolean),
  )
}
