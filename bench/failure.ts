// How fast a loss is seen and repaired, and whether load alone convicts anybody. Real peers on loopback:
// kill -9 of a peer and of its processes, SIGSTOP of a peer, and all cores overloaded with nothing wrong.

import { spawn } from 'node:child_process'
import { cpus } from 'node:os'
import type { WatchReply } from '../node/serve/api/contract-streams.ts'
import { applyOf, Fleet, service, until, type Peer } from '../test/e2e/support/fleet.ts'
import { pause, print, summarize, watchAll, type Row, type Watcher } from './support.ts'

const KILLS = 5
const STOPS = 5
const RESCHEDULE_AFTER_MS = 1000
/** A freeze is measured in a fleet at rest: starting thirty peers, and asking all of them, overloads one machine. */
const REST_MS = 4000
/** As many busy loops for each core: a peer waits for its core most of the time. */
const BUSY_PER_CORE = 3
const OVERLOAD_MS = 20_000

/** The watch names living members only: who is dead is no longer in it. */
const isDead = (reply: WatchReply, name: string): boolean => !reply.peers.some((one) => one.name === name)

const deadForAll = async (watchers: readonly Watcher[], name: string): Promise<number> => {
  const others = watchers.filter(({ peer }) => peer.name !== name)
  const seen = await Promise.all(
    others.map((watcher) => watcher.when(`${name} dead`, (reply) => isDead(reply, name))),
  )
  return Math.max(...seen)
}

/** Ends a peer and, with it, every process group that it runs: what a power cut does. */
const killWithProcesses = async (peer: Peer, viewer: Peer): Promise<void> => {
  const { instances } = await viewer.instances()
  const pids = instances.filter((one) => one.peer === peer.name).map(({ pid }) => pid)
  peer.signal('SIGKILL')
  for (const pid of pids) if (pid !== null) process.kill(-pid, 'SIGKILL')
  await peer.end('SIGKILL')
}

const kills = async (): Promise<readonly Row[]> => {
  const fleet = await Fleet.create()
  try {
    const peers = await fleet.grow(10)
    const viewer = peers[0]
    if (viewer === undefined) return []
    await viewer.change(
      applyOf(
        service('steady', ['sleep', '100000'], {
          replicas: 10,
          rescheduleAfterMs: RESCHEDULE_AFTER_MS,
          stopGraceMs: 0,
        }),
      ),
    )
    await fleet.agree(peers)
    const dead: number[] = []
    const replaced: number[] = []
    for (let turn = 0; turn < KILLS; turn += 1) {
      const victim = peers[1 + (turn % (peers.length - 1))]
      if (victim === undefined) break
      const watchers = await watchAll(peers.filter((peer) => peer !== victim))
      const { instances } = await viewer.instances()
      const lost = instances.filter((one) => one.peer === victim.name).map(({ slot }) => slot)
      const from = performance.now()
      await killWithProcesses(victim, viewer)
      const deadAt = await deadForAll(watchers, victim.name)
      dead.push(deadAt - from)
      const back = await watchers[0]?.when('replacements ready', ({ slots }) =>
        lost.every((slot) =>
          slots.some((one) => one.slot === slot && one.peer !== victim.name && one.state === 'ready'),
        ),
      )
      if (lost.length > 0 && back !== undefined) replaced.push(back - deadAt - RESCHEDULE_AFTER_MS)
      for (const watcher of watchers) watcher.close()
      await victim.up()
      await fleet.agree(peers)
    }
    return [
      {
        what: '10 peers: kill -9 of peer and processes to dead for all',
        unit: 'ms',
        aim: '<= 1000',
        figures: summarize(dead),
      },
      {
        what: '10 peers: replacement ready, beyond reschedule_after',
        unit: 'ms',
        aim: '<= 1000',
        figures: summarize(replaced),
      },
    ]
  } finally {
    await fleet.close()
  }
}

const stopsAndLoad = async (): Promise<readonly Row[]> => {
  const fleet = await Fleet.create()
  try {
    const peers = await fleet.grow(30)
    const watchers = await watchAll(peers)
    const samples: number[] = []
    for (let turn = 0; turn < STOPS; turn += 1) {
      const victim = peers[(turn * 11) % peers.length]
      if (victim === undefined) break
      await pause(REST_MS)
      const from = performance.now()
      victim.signal('SIGSTOP')
      samples.push((await deadForAll(watchers, victim.name)) - from)
      victim.signal('SIGCONT')
      await fleet.agree(peers, 60_000)
    }
    // What the feeds said last may still be of the freeze; only what comes from now on is the load's.
    const isWhole = ({ last }: Watcher): boolean =>
      last?.peers.length === peers.length && last.peers.every(({ state }) => state === 'alive')
    await until('every feed shows all alive', () => watchers.every(isWhole))
    const accused = await falsePositives(watchers)
    for (const watcher of watchers) watcher.close()
    await until('all alive after the load', async () => {
      const { peers: list } = await (peers[0]?.peers() ?? Promise.reject(new Error('no peer')))
      return list.every(({ state }) => state === 'alive')
    })
    return [
      {
        what: '30 peers: SIGSTOP to dead for all',
        unit: 'ms',
        aim: '<= 4000 p99',
        figures: summarize(samples),
      },
      { what: '30 peers, cores overloaded: members seen dead', unit: '', aim: '0', figures: accused.dead },
      {
        what: '30 peers, cores overloaded: members seen suspect',
        unit: '',
        aim: '',
        figures: accused.suspect,
      },
    ]
  } finally {
    await fleet.close()
  }
}

/** Distinct (viewer, member) pairs that were ever dead or suspect while nothing but the load was wrong. */
const falsePositives = async (watchers: readonly Watcher[]): Promise<{ dead: number; suspect: number }> => {
  const seen = { dead: new Set<string>(), suspect: new Set<string>() }
  const busy = Array.from({ length: cpus().length * BUSY_PER_CORE }, () =>
    spawn(process.execPath, ['-e', `const end = Date.now() + ${OVERLOAD_MS}; while (Date.now() < end);`], {
      stdio: 'ignore',
    }),
  )
  const until = performance.now() + OVERLOAD_MS
  while (performance.now() < until) {
    for (const { peer, last } of watchers) {
      if (last === null) continue
      for (const { peer: other } of watchers) {
        if (isDead(last, other.name)) seen.dead.add(`${peer.name} ${other.name}`)
      }
      for (const { name, state } of last.peers) {
        if (state === 'suspect') seen.suspect.add(`${peer.name} ${name}`)
      }
    }
    await pause(20)
  }
  for (const child of busy) child.kill('SIGKILL')
  return { dead: seen.dead.size, suspect: seen.suspect.size }
}

print('failure', [...(await kills()), ...(await stopsAndLoad())])
