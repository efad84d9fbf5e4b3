// Packages over real peers on loopback: 100 MB from one peer to nine others, how much of it leaves the origin, and what a change
// of a hundredth moves. There is no link here: all ten peers, and the plain copy beside them, share the machine's cores and its
// disk, so the share of the plain copy says how much CPU a byte costs. What a link carries is packages-link's to say.

import { join } from 'node:path'
import { Fleet } from '../test/e2e/support/fleet.ts'
import {
  BYTES,
  changeBulk,
  cpuOf,
  fetchedOf,
  pace,
  push,
  servedOf,
  spread,
  writeBulk,
} from './packages/bulk.ts'
import { rawCopyMs } from './packages/raw-copy.ts'
import { print, type Row } from './support.ts'

const RECEIVERS = 9

const rows: Row[] = []
const fleet = await Fleet.create()
try {
  const directory = join(fleet.directory, 'bulk')
  await writeBulk(directory)
  const peers = await fleet.grow(RECEIVERS + 1)
  const [origin, ...others] = peers
  if (origin === undefined) throw new Error('a fleet has a first peer')
  const pushFrom = performance.now()
  await push(origin, directory, '1')
  const pushMs = performance.now() - pushFrom
  const rawMs = await rawCopyMs(fleet.directory, RECEIVERS, BYTES)
  const cpuBefore = await cpuOf(peers)
  const spreadMs = await spread(origin, '1', peers.length)
  const cpu = (await cpuOf(peers)) - cpuBefore
  const servedBytes = await servedOf(origin)
  const rawAgainMs = await rawCopyMs(fleet.directory, RECEIVERS, BYTES)
  const fetchedBefore = await Promise.all(others.map(fetchedOf))
  await changeBulk(directory)
  const sentBytes = await push(origin, directory, '2')
  await spread(origin, '2', peers.length)
  const fetchedAfter = await Promise.all(others.map(fetchedOf))
  const moved = fetchedAfter.map((bytes, at) => bytes - (fetchedBefore[at] ?? 0))
  const copyMs = (rawMs + rawAgainMs) / 2
  const row = (what: string, unit: string, figures: number, aim = ''): number =>
    rows.push({ what, unit, aim, figures })
  row('push of 100 MB to the first peer', 'MB/s', pace(BYTES, pushMs))
  row('to nine others, each', 'MB/s', pace(BYTES, spreadMs))
  row('CPU of all peers for each MB that one receives', 'ms', (cpu * 1000) / RECEIVERS / (BYTES / 1e6))
  row('a plain copy to nine, before and after', 'MB/s', pace(BYTES, copyMs))
  row('share of the plain copy, on shared cores', '%', (100 * copyMs) / spreadMs)
  row('out of the origin', 'x its size', servedBytes / BYTES, '<= 1.5')
  row('1 % changed: sent by the push', '%', (100 * sentBytes) / BYTES, '<= 3')
  row('1 % changed: fetched by a peer, the most', '%', (100 * Math.max(...moved)) / BYTES, '<= 3')
} finally {
  await fleet.close()
}
print('packages', rows)
