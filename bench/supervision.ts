// What supervision costs, as ratios taken in one run: starting many instances beside a bare spawn of the same program and
// beside pm2, restarting one that was killed, memory for each, the event loop of a peer that starts 500, and what is left of
// 200 instances when their peer is killed. Takes two minutes on a quiet machine; its load is part of the output.

import { execFileSync } from 'node:child_process'
import { Fleet, until } from '../test/e2e/support/fleet.ts'
import { startBare } from './supervision/bare.ts'
import { Crew } from './supervision/crew.ts'
import { Pm2, PM2_VERSION } from './supervision/pm2.ts'
import { lives, parentOf, pssKib } from './supervision/proc.ts'
import { Roll } from './supervision/roll.ts'
import { cpuSeconds, pause, print, summarize, type Row } from './support.ts'

const MANY = 500
const SOME = 100
const ADOPTED = 200
/** Odd, so that the median is a run. */
const ROUNDS = 3
/** A start of few is over so soon that whatever else the machine does counts. */
const ROUNDS_OF_SOME = 5
const KILLS = 15
/** Between two kills, so that each is alone. */
const CALM_MS = 100
/** What a supervisor does after it has started all, such as preparing their successors, is done by then. */
const READY_MS = 1000
/** Garbage of the start is collected by then. */
const SETTLE_MS = 3000

const median = (samples: readonly number[]): number => summarize(samples).p50
const row = (what: string, unit: string, aim: string, samples: readonly number[] | number): Row => ({
  what,
  unit,
  aim,
  figures: typeof samples === 'number' ? samples : summarize(samples),
})
const ratiosOf = (ours: readonly number[], theirs: readonly number[]): number[] =>
  ours.map((value, at) => value / (theirs[at] ?? Number.NaN))

/** Rounds of a bare spawn and of the peer by turns, so that both meet the same load. */
const rates = async (crew: Crew, roll: Roll, bareRoll: Roll): Promise<readonly Row[]> => {
  const bare: number[] = []
  const ours: number[] = []
  const stops: number[] = []
  const cpus: number[] = []
  const lags: { p99: number; max: number }[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    bare.push(MANY / ((await startBare(bareRoll, MANY)) / 1000))
    await crew.lagMs()
    const cpuBefore = await cpuSeconds(crew.peer.pid)
    ours.push(MANY / ((await crew.startByEdit(MANY)) / 1000))
    cpus.push((((await cpuSeconds(crew.peer.pid)) - cpuBefore) * 1000) / MANY)
    lags.push(await crew.lagMs())
    await crew.settled()
    if (round < ROUNDS - 1) stops.push(await crew.stop())
  }
  const share = ratiosOf(ours, bare).map((ratio) => ratio * 100)
  const rows = [
    row(`bare spawn of ${MANY}: started a second`, '/s', '', bare),
    row(`${MANY} instances: edit to all running, started a second`, '/s', '', ours),
    row(`${MANY} instances: of the rate of a bare spawn`, '%', '>= 80', share),
    row(`${MANY} instances: CPU of the peer for each, edit to all running`, 'ms', '', cpus),
    row(
      `${MANY} instances: event loop delay while they start, p99`,
      'ms',
      '<= 20',
      lags.map(({ p99 }) => p99),
    ),
    row(
      `${MANY} instances: event loop delay while they start, max`,
      'ms',
      '',
      lags.map(({ max }) => max),
    ),
    row(`${MANY} instances: edit to the last process gone`, 'ms', '', stops),
  ]
  return [...rows, ...(await memory(crew, roll))]
}

/** The last round's instances still run: what they cost above the programs themselves, and above the empty peer. */
const memory = async (crew: Crew, roll: Roll): Promise<readonly Row[]> => {
  await pause(SETTLE_MS)
  const programs = roll.pids()
  const shims = programs.map(parentOf)
  const shimKib = shims.map(pssKib)
  const fullKib = pssKib(crew.peer.pid)
  await crew.stop()
  await pause(SETTLE_MS)
  // The peer after its garbage of stopping is the fairer base than the one that never ran anything.
  const emptyKib = pssKib(crew.peer.pid)
  const growthKib = Math.max(0, fullKib - emptyKib)
  const eachMib = (shimKib.reduce((sum, kib) => sum + kib, 0) + growthKib) / MANY / 1024
  return [
    row(`${MANY} instances: PSS of one shim`, 'KiB', '', shimKib),
    row(`${MANY} instances: growth of the peer, PSS`, 'MiB', '', growthKib / 1024),
    row(`${MANY} instances: supervisor memory for each`, 'MiB', '<= 0.3', eachMib),
  ]
}

/** From kill -9 of a program until its successor is on the roll; of instances that have run for a moment. */
const restarts = async (roll: Roll, count: number): Promise<number[]> => {
  const samples: number[] = []
  await pause(READY_MS)
  for (let turn = 0; turn < KILLS; turn += 1) {
    const pids = roll.pids()
    // Another instance each time: what restarts again and again is held back by either supervisor.
    const victim = pids[turn % count] ?? 0
    const from = performance.now()
    process.kill(victim, 'SIGKILL')
    samples.push((await roll.until(pids.length + 1)) - from)
    await pause(CALM_MS)
  }
  return samples
}

const besidePm2 = async (crew: Crew, roll: Roll, fleet: Fleet): Promise<readonly Row[]> => {
  const pm2 = await Pm2.create(fleet.directory)
  const pm2Roll = new Roll(fleet.directory, 'pm2')
  const rows: Row[] = []
  for (const [count, rounds] of [
    [SOME, ROUNDS_OF_SOME],
    [MANY, ROUNDS],
  ] as const) {
    const [ours, theirs]: [number[], number[]] = [[], []]
    let [restartsOurs, restartsTheirs]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await crew.startByCommand(count))
      await crew.settled()
      if (round === rounds - 1) restartsOurs = await restarts(roll, count)
      await crew.stop()
      if (pm2 === null) continue
      await pm2.wake()
      theirs.push(await pm2.start(pm2Roll, count))
      if (round === rounds - 1) restartsTheirs = await restarts(pm2Roll, count)
      await pm2.kill()
    }
    rows.push(row(`${count}: tutti apply to all running`, 'ms', '', ours))
    rows.push(row(`${count}: kill -9 to the next process`, 'ms', '', restartsOurs))
    if (pm2 === null) continue
    rows.push(
      row(`${count}: pm2 start to all running`, 'ms', '', theirs),
      row(`${count}: pm2 kill -9 to the next process`, 'ms', '', restartsTheirs),
      row(`${count}: start, of pm2's time`, 'x', '<= 0.4', ratiosOf(ours, theirs)),
      row(
        `${count}: restart, of pm2's time (medians)`,
        'x',
        '<= 0.6',
        median(restartsOurs) / median(restartsTheirs),
      ),
    )
  }
  return rows
}

/** kill -9 of the peer, and its next start: who lives, who was adopted, who was restarted. */
const adoption = async (crew: Crew, roll: Roll): Promise<readonly Row[]> => {
  const { peer } = crew
  await crew.startByEdit(ADOPTED)
  await crew.settled()
  const before = new Map((await peer.instances()).instances.map(({ slot, pid }) => [slot, pid]))
  const programs = roll.pids()
  await peer.end('SIGKILL')
  const alive = programs.filter(lives).length
  const from = performance.now()
  await peer.up()
  const upMs = performance.now() - from
  const after = await until('all adopted', async () => {
    const { instances } = await peer.instances()
    return instances.filter(({ state }) => state === 'ready').length === ADOPTED && instances
  })
  const adoptedMs = performance.now() - from
  const same = after.filter(({ slot, pid }) => before.get(slot) === pid).length
  const restarted = after.reduce((sum, one) => sum + one.restarts, 0) + roll.pids().length - programs.length
  await crew.stop()
  return [
    row(`kill -9 of the peer under ${ADOPTED}: programs alive`, '', `${ADOPTED}`, alive),
    row('  start of the peer to its API', 'ms', '', upMs),
    row('  start of the peer to all adopted and ready', 'ms', '<= 2000', adoptedMs),
    row('  adopted with the same pid', '', `${ADOPTED}`, same),
    row('  restarts', '', '0', restarted),
  ]
}

const fileSystemOf = (path: string): string =>
  execFileSync('stat', ['-f', '-c', '%T', path], { encoding: 'utf8' }).trim()

const fleet = await Fleet.create()
try {
  const roll = new Roll(fleet.directory, 'tutti')
  const crew = await Crew.create(fleet, roll)
  const rows = [
    ...(await rates(crew, roll, new Roll(fleet.directory, 'bare'))),
    ...(await adoption(crew, roll)),
    ...(await besidePm2(crew, roll, fleet)),
  ]
  print('supervision', rows, [
    'the program is a shell that writes its pid and waits: one exec, as sleep; the same file for everybody',
    `pm2 ${PM2_VERSION}, fork mode, its daemon already running; both are started by their command line`,
    `restarts: kills begin ${READY_MS} ms after all run and the peer has settled`,
    'ratios are of rounds that follow each other; spread is min to max over the rounds',
    `data on ${fileSystemOf(fleet.directory)}; TMPDIR chooses another place (docs/adr/0016-starting.md, "On a disk")`,
  ])
} finally {
  await fleet.close()
}
