// A peer in a process of its own, so that a test can freeze or kill it. Arguments: its number, then the numbers of the
// members. Prints its addresses as one JSON line and then serves until it is killed.

import { silentLog } from '../../../lib/log.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import { makeTransport, seedOf } from './fleet.ts'

const [own, ...others] = process.argv.slice(2).map(Number)
const transport = await makeTransport(own ?? 0, silentLog)
transport.setMembers(new Set(others.map((at) => signerFromSeed(seedOf(at)).member)))
await transport.start({
  connected: () => undefined,
  disconnected: () => undefined,
  message: () => undefined,
  gossip: () => 'accept',
  request: async function* (_from, _method, body) {
    yield body
  },
  join: async () => new Uint8Array(),
})
process.stdout.write(`${JSON.stringify(transport.addresses())}\n`)
