// `npm run soak -- [SEED] [--rounds N] [--peers N] [--loopback]`: real peers, broken at random from a seed. A round is some
// steps at random moments, then all is undone and must become whole again. Beside the simulator, which knows faults that no
// machine offers and repeats them exactly, it sees what the simulator has models of: sockets, disks, processes, addresses.
// The seed fixes what is done; what comes of it depends on the machine, too. Exits with 1 at the first round that fails, and
// with 2 on a wrong command line.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { messageOf } from '../../lib/errors.ts'
import { seededRandom } from '../../lib/random.ts'
import { freshSeed } from '../../simulations/arguments.ts'
import { Fleet } from '../e2e/support/fleet.ts'
import { Netbed, netbedMissing, onHost } from '../e2e/support/netbed.ts'
import { assertWhole } from './claims.ts'
import { Stage } from './stage.ts'
import { drawStep } from './steps.ts'

const STEPS_MIN = 4
const STEPS_SPREAD = 10

const USAGE = 'usage: npm run soak -- [SEED] [--rounds N] [--peers N] [--loopback]'

interface Options {
  readonly seed: string
  readonly rounds: number
  readonly count: number
  /** No hosts of their own: all on loopback, at ports that they choose themselves, and the network is never cut. */
  readonly isLoopback: boolean
}

/** @throws TypeError for what is no such command line. */
const options = (): Options => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '10' },
      peers: { type: 'string', default: '5' },
      loopback: { type: 'boolean', default: false },
    },
  })
  const [rounds, count] = [Number(values.rounds), Number(values.peers)]
  if (!(rounds >= 1) || !(count >= 2)) throw new TypeError('--rounds is 1 or more, and --peers 2 or more')
  return { seed: positionals[0] ?? freshSeed(randomBytes(16)), rounds, count, isLoopback: values.loopback }
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Hosts of their own; null where there are none. */
const bedFor = async ({ count, isLoopback }: Options): Promise<Netbed | null> => {
  if (isLoopback) return null
  const missing = await netbedMissing()
  if (missing === null) return await Netbed.create(count)
  say(`WITHOUT PARTITIONS: ${missing}`)
  return null
}

/** @throws with what does not hold after the first round that fails. */
const soak = async (
  { seed, rounds, count }: Options,
  { fleet, bed }: { readonly fleet: Fleet; readonly bed: Netbed | null },
): Promise<void> => {
  const peers = await fleet.grow(count, (at) => (bed === null ? { name: `p${at}` } : onHost(bed, at)))
  const stage = new Stage(fleet, peers, join(fleet.directory, 'beats'), bed, (line) => say(`  ${line}`))
  await stage.begin()
  for (let round = 0; round < rounds; round += 1) {
    const random = seededRandom(`${seed}/${round}`)
    const steps = STEPS_MIN + random.below(STEPS_SPREAD)
    for (let at = 0; at < steps; at += 1) {
      const { step, restMs } = drawStep(random, count, bed !== null)
      await stage.perform(step)
      await pause(restMs)
    }
    const from = performance.now()
    await stage.calm()
    await assertWhole(stage)
    const tookS = ((performance.now() - from) / 1000).toFixed(1)
    say(`round ${round}: whole again after ${tookS} s, ${stage.acknowledged.length} changes so far`)
  }
}

const main = async (): Promise<number> => {
  const asked = options()
  const bed = await bedFor(asked)
  const fleet = await Fleet.create()
  const { seed, rounds, count, isLoopback } = asked
  try {
    await soak(asked, { fleet, bed })
    say(`${seed}: ${rounds} rounds, all whole`)
    return 0
  } catch (thrown) {
    process.stderr.write(`${fleet.story()}\n`)
    const again = `npm run soak -- ${seed} --rounds ${rounds} --peers ${count}${isLoopback ? ' --loopback' : ''}`
    say(`FAILED: ${messageOf(thrown)}\n  ${again}`)
    return 1
  } finally {
    await fleet.close()
    await bed?.close()
  }
}

try {
  process.exitCode = await main()
} catch (thrown) {
  if (!(thrown instanceof TypeError)) throw thrown
  process.stderr.write(`${thrown.message}\n${USAGE}\n`)
  process.exitCode = 2
}
