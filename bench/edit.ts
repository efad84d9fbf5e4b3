// Edit to applied on all peers, and edit to new instance ready, over real peers on loopback. All peers and this bench
// share the machine's cores, so at 30 peers the figures include queueing for a core.

import { applyOf, Fleet, service, type Peer } from '../test/e2e/support/fleet.ts'
import { pause, print, summarize, watchAll, type Row, type Watcher } from './support.ts'

/** Few enough for two minutes; of so few, the p99 over all peers says more than the p99 of the slowest. */
const EDITS = 25
const STARTS = 10
/**
 * Between two edits: operators' edits are not back to back, and thirty peers on a few cores need the time to say that they
 * have the last one.
 */
const PAUSE_MS = 1000

/** Scales a stopped-size service up and down by turns at changing peers: an edit that starts nothing. */
const editsToAll = async (
  watchers: readonly Watcher[],
): Promise<{ toAll: number[]; each: number[]; acknowledged: number[] }> => {
  const toAll: number[] = []
  const each: number[] = []
  const acknowledged: number[] = []
  for (let turn = 0; turn < EDITS; turn += 1) {
    const editor = watchers[(turn * 7) % watchers.length]
    if (editor === undefined) break
    const from = performance.now()
    const { digest } = await editor.peer.change(
      applyOf(service('idle', ['true'], { replicas: 0, environment: { TURN: `${turn}` } })),
    )
    acknowledged.push(performance.now() - from)
    const arrived = await Promise.all(
      watchers.map((watcher) => watcher.when('the digest', (reply) => reply.digest === digest)),
    )
    for (const atMs of arrived) each.push(Math.max(0, atMs - from))
    toAll.push(Math.max(...arrived) - from)
    await pause(PAUSE_MS)
  }
  return { toAll, each, acknowledged }
}

const editsToReady = async (watchers: readonly Watcher[], peers: readonly Peer[]): Promise<number[]> => {
  const samples: number[] = []
  for (let turn = 0; turn < STARTS; turn += 1) {
    const editor = watchers[(turn * 3) % watchers.length]
    if (editor === undefined) break
    const name = `now-${turn}`
    const from = performance.now()
    await editor.peer.change(applyOf(service(name, ['sleep', '1000'], { stopGraceMs: 0 })))
    const atMs = await editor.when('ready', (reply) =>
      reply.slots.some(({ slot, state }) => slot === `e2e/${name}/0` && state === 'ready'),
    )
    samples.push(atMs - from)
    await pause(PAUSE_MS)
  }
  await peers[0]?.change({ kind: 'remove-cell', cell: 'e2e' })
  return samples
}

const at = async (count: number, aimAll: string, aimReady: string): Promise<readonly Row[]> => {
  const fleet = await Fleet.create()
  try {
    const peers = await fleet.grow(count)
    const watchers = await watchAll(peers)
    const { toAll, each, acknowledged } = await editsToAll(watchers)
    const starts = await editsToReady(watchers, peers)
    for (const watcher of watchers) watcher.close()
    return [
      {
        what: `${count} peers: edit acknowledged (on disk)`,
        unit: 'ms',
        aim: '',
        figures: summarize(acknowledged),
      },
      { what: `${count} peers: edit to applied, each peer`, unit: 'ms', aim: '', figures: summarize(each) },
      { what: `${count} peers: edit to applied on all`, unit: 'ms', aim: aimAll, figures: summarize(toAll) },
      {
        what: `${count} peers: edit to new instance ready`,
        unit: 'ms',
        aim: aimReady,
        figures: summarize(starts),
      },
    ]
  } finally {
    await fleet.close()
  }
}

const sizes = process.argv.slice(2).map(Number)
const wanted = sizes.length > 0 ? sizes : [10, 30]
const rows: Row[] = []
for (const count of wanted) {
  rows.push(...(await at(count, count >= 30 ? '<= 60 p50, <= 200 p99' : '', count <= 10 ? '<= 400 p99' : '')))
}
print('edit', rows)
