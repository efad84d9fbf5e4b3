// Fleets of real libp2p transports on loopback, for the contract suite and the tests beside this file.

import assert from 'node:assert/strict'
import type { ClusterId, MemberId } from '../../../lib/ids.ts'
import { silentLog, type Log } from '../../../lib/log.ts'
import { createLibp2pTransport, requestJoin } from '../../../net/libp2p/transport.ts'
import type { Transport } from '../../../net/transport.ts'
import type { Fleet } from '../../contracts/transport/fleet.ts'
import { until } from '../../support/until.ts'
import { systemClock } from '../../../node/clock.ts'

export const CLUSTER = '0123456789abcdef0123456789abcdef' as ClusterId

/** The seed of the `at`-th member. Distinct from the contract's ticket. */
export const seedOf = (at: number): Uint8Array => new Uint8Array(32).fill(100 + at)

export const makeTransport = (at: number, log: Log = silentLog): Promise<Transport> =>
  createLibp2pTransport({
    seed: seedOf(at),
    cluster: CLUSTER,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    log,
    clock: systemClock,
    // Looks more often, so that repairs which take seconds in production take less here.
    watchIntervalMs: 250,
  })

/** Only a failure takes this long. Generous, since the machine may be busy with other tests; below a test's own limit. */
const PATIENCE_MS = 30_000

/** Dials until it succeeds, as a peer does: one dial has a limit of its own, which a busy machine may exceed. */
export const dialUntilConnected = async (
  transport: Transport,
  member: MemberId,
  addresses: readonly string[],
): Promise<void> => {
  const end = performance.now() + PATIENCE_MS
  while (!(await transport.dial(member, addresses)))
    assert.ok(performance.now() < end, `never connected: ${member}`)
}

export const makeLibp2pFleet = async (size: number): Promise<Fleet> => {
  const transports = await Promise.all(Array.from({ length: size }, (_, at) => makeTransport(at)))
  return {
    transports,
    until,
    run: (work) => work,
    join: (ticketSeed, addresses, body) =>
      requestJoin({ ticketSeed, addresses, body, signal: AbortSignal.timeout(10_000), log: silentLog }),
    close: async () => {
      await Promise.all(transports.map((transport) => transport.stop()))
    },
  }
}
