// How fast the simulator is: simulated seconds per second of CPU for fixed seeds of ten peers and ten minutes, in one process
// after a warm-up, as the swarm's workers play them. On a machine with other load CPU time is up to half as much again.

import { play } from '../simulations/play.ts'

const PEERS = 10
const MINUTES = 10
/** Some quiet, some dense. */
const SEEDS = ['speed-0', 'speed-1', 'speed-2', 'speed-3', 'speed-4', 'speed-5'] as const

const print = (line: string): void => void process.stdout.write(`${line}\n`)

await play({ seed: 'warm-up', peers: PEERS, minutes: 1 })
let simulated = 0
let spent = 0
for (const seed of SEEDS) {
  const began = process.cpuUsage()
  const { simulatedMs, schedule, fired } = await play({ seed, peers: PEERS, minutes: MINUTES, hasty: true })
  const { user, system } = process.cpuUsage(began)
  const seconds = (user + system) / 1_000_000
  simulated += simulatedMs / 1000
  spent += seconds
  print(
    `${seed}: ${schedule.length} steps, ${fired} events, ${seconds.toFixed(2)} s of cpu, ${(simulatedMs / 1000 / seconds).toFixed(0)} simulated seconds per second`,
  )
}
const perHour = (3600 * SEEDS.length * 4) / spent
print(
  `all: ${(simulated / spent).toFixed(0)} simulated seconds per second and core; ${perHour.toFixed(0)} such seeds an hour on 4 cores`,
)
