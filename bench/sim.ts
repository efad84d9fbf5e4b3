// How fast the simulator is: simulated seconds per second of CPU for fixed seeds, of ten peers and ten minutes and of the five
// peers and three minutes of CI, in one process as the swarm's workers play them. A worker plays hundreds of seeds, and Node.js
// goes on compiling what they share for the first thirty or so, so all are played several times; the rate of each round is
// told, and the last one counts. On a machine with other load CPU time is up to twice as much.

import { play } from '../simulations/play.ts'

interface Setting {
  readonly peers: number
  readonly minutes: number
  /** Some quiet, some dense. */
  readonly seeds: readonly string[]
}

const SETTINGS: readonly Setting[] = [
  { peers: 10, minutes: 10, seeds: ['speed-0', 'speed-1', 'speed-2', 'speed-3', 'speed-4', 'speed-5'] },
  { peers: 5, minutes: 3, seeds: Array.from({ length: 12 }, (_, at) => `speed-${at}`) },
]

interface Spent {
  readonly simulatedS: number
  readonly cpuS: number
  readonly line: string
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const measured = async ({ peers, minutes }: Setting, seed: string): Promise<Spent> => {
  const began = process.cpuUsage()
  const { simulatedMs, schedule, fired } = await play({ seed, peers, minutes, hasty: true })
  const { user, system } = process.cpuUsage(began)
  const cpuS = (user + system) / 1_000_000
  const simulatedS = simulatedMs / 1000
  const line = `${seed}: ${schedule.length} steps, ${fired} events, ${cpuS.toFixed(2)} s of cpu, ${(simulatedS / cpuS).toFixed(0)} simulated seconds per second`
  return { simulatedS, cpuS, line }
}

const sum = (list: readonly Spent[], of: 'simulatedS' | 'cpuS'): number =>
  list.reduce((total, one) => total + one[of], 0)

/** Until the rate hardly rises any more. */
const ROUNDS = 5

for (const setting of SETTINGS) {
  print(`${setting.peers} peers, ${setting.minutes} minutes`)
  const rates: string[] = []
  let last: Spent[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    last = []
    for (const seed of setting.seeds) last.push(await measured(setting, seed))
    rates.push((sum(last, 'simulatedS') / sum(last, 'cpuS')).toFixed(0))
  }
  for (const { line } of last) print(line)
  const perHour = (3600 * last.length * 4) / sum(last, 'cpuS')
  print(
    `all: ${rates.join(', ')} simulated seconds per second and core, round by round; ${perHour.toFixed(0)} such seeds an hour on 4 cores`,
  )
}
