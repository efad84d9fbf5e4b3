// What holds of a fleet once every fault of a soak is undone: all agree (S1, L1), nothing acknowledged is lost (S2), every
// slot runs once and nothing else does (S10, L2), and the quorum slot never ran twice at once (S9).

import { readFile } from 'node:fs/promises'
import type { HistoryReply } from '../../node/serve/api/contract-history.ts'
import { assertAlone, runsIn } from '../e2e/support/beats.ts'
import { IDLE_COMMAND, strays, until } from '../e2e/support/fleet.ts'
import type { Stage } from './stage.ts'
import { SERVICES } from './steps.ts'

/** Peers that were frozen or cut off are held for dead for a while, and machines are slow while five peers start at once. */
const AGREE_MS = 60_000
/** A rollout goes slot by slot, two seconds each, and a lease may have to run out before. */
const READY_MS = 90_000
const PROCESSES_MS = 20_000
const HISTORY_MAX = 1000

/** @throws with what does not hold, after waiting for it. */
export const assertWhole = async (stage: Stage): Promise<void> => {
  await stage.fleet.agree(stage.peers, AGREE_MS)
  const idles = await slotsReady(stage)
  await until(
    'there is a process for each slot, and none besides',
    async () => {
      const found = await programsOf(stage)
      if (found !== idles) throw new Error(`${found} run, ${idles} are wanted`)
      return true
    },
    PROCESSES_MS,
  )
  await assertHistory(stage)
  assertAlone(await runsIn(stage.beats))
}

/** Waits until every slot that is wanted is ready once; returns how many of them are idle programs. */
const slotsReady = async ({ peers }: Stage): Promise<number> => {
  const [asked] = peers
  if (asked === undefined) return 0
  return await until(
    'every slot is ready, once',
    async () => {
      const [{ cells }, { instances }] = await Promise.all([asked.status(), asked.instances()])
      const services = cells.flatMap((cell) => cell.services)
      for (const { name, desired } of services) {
        const there = instances.filter((one) => one.service === name && one.state !== 'stopped')
        const isWhole =
          there.length === desired &&
          there.every(({ state }) => state === 'ready') &&
          new Set(there.map(({ slot }) => slot)).size === desired
        if (isWhole) continue
        const seen = there.map(({ slot, peer, state, reason }) => `${slot} ${state} on ${peer} ${reason}`)
        throw new Error(`${name} wants ${desired}: ${seen.join('; ')}`)
      }
      const isIdle = (name: string): boolean => (SERVICES as readonly string[]).includes(name)
      return services.filter(({ name }) => isIdle(name)).reduce((sum, { desired }) => sum + desired, 0)
    },
    READY_MS,
  )
}

/** How many idle programs of the fleet run, whoever knows of them. */
const programsOf = async ({ fleet }: Stage): Promise<number> => {
  const lines = await Promise.all(
    strays(fleet.directory).map(async (pid) =>
      (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim(),
    ),
  )
  // The program itself: its shim has it behind other words.
  const [program, argument] = IDLE_COMMAND
  return lines.filter((line) => new RegExp(`^\\S*${program} ${argument}$`).test(line)).length
}

const assertHistory = async ({ peers, acknowledged }: Stage): Promise<void> => {
  const histories = await Promise.all(
    peers.map(async (peer) => {
      const { changes } = await peer.get<HistoryReply>(`/v1/changes?limit=${HISTORY_MAX}`)
      return { name: peer.name, changes: changes.map(({ change }) => change) }
    }),
  )
  const [first] = histories
  for (const { name, changes } of histories) {
    if (first !== undefined && changes.join() !== first.changes.join())
      throw new Error(`${name} and ${first.name} tell another history (S1)`)
    const known = new Set(changes)
    const lost = acknowledged.find(({ change }) => !known.has(change))
    if (lost !== undefined)
      throw new Error(`${lost.change}, which ${lost.by} acknowledged, is lost to ${name} (S2)`)
  }
}
