// How fast the simulator is: simulated seconds per second of CPU for fixed seeds, of ten peers and ten minutes and of the five
// peers and three minutes of CI, in one process as the swarm's workers play them. A worker plays hundreds of seeds, so all
// are played once before they are measured: Node.js spends as much on compiling during the first as on a whole seed. On a
// machine with other load CPU time is up to half as much again.

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

for (const setting of SETTINGS) {
  print(`${setting.peers} peers, ${setting.minutes} minutes`)
  const cold: Spent[] = []
  for (const seed of setting.seeds) cold.push(await measured(setting, seed))
  const warm: Spent[] = []
  for (const seed of setting.seeds) {
    const spent = await measured(setting, seed)
    warm.push(spent)
    print(spent.line)
  }
  const rateOf = (list: readonly Spent[]): string => (sum(list, 'simulatedS') / sum(list, 'cpuS')).toFixed(0)
  const perHour = (3600 * warm.length * 4) / sum(warm, 'cpuS')
  print(
    `all: ${rateOf(warm)} simulated seconds per second and core, ${rateOf(cold)} while they were played first; ${perHour.toFixed(0)} such seeds an hour on 4 cores`,
  )
}
