// Packages over links: ten peers in network namespaces of their own, each behind a link of 100 Mbit/s both ways, as machines are
// behind theirs. 100 MB from one to the nine others; beside it, in the same run, a plain copy over one such link, which is
// what a receiver's link allows, and what leaves the origin. Needs root, iproute2 and nftables. `TUTTI_BENCH_MBIT` sets another
// rate: where ten peers on this machine's cores are slower than the links, the figure is the cores'.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Fleet } from '../test/e2e/support/fleet.ts'
import { Netbed, netbedMissing, onHost } from '../test/e2e/support/netbed.ts'
import { BYTES, cpuOf, pace, push, servedOf, spread, writeBulk } from './packages/bulk.ts'
import { linkCopyMs } from './packages/link-copy.ts'
import { print, type Row } from './support.ts'

const RECEIVERS = 9
const MBIT = Number(process.env['TUTTI_BENCH_MBIT'] ?? 100)
/** A token bucket that passes the largest packet of a virtual link, and a queue as a switch has one. */
const SHAPE = `tbf rate ${MBIT}mbit burst 128kb latency 50ms`

const run = promisify(execFile)

/** Every host's link, up and down. */
const shape = async (bed: Netbed): Promise<void> => {
  const script = Array.from({ length: bed.hosts }, (_, at) => [
    `tc -n ${bed.host(at + 1)} qdisc add dev eth0 root ${SHAPE}`,
    `tc -n ${bed.sw} qdisc add dev v${at + 1} root ${SHAPE}`,
  ]).flat()
  await run('sh', ['-ec', script.join('\n')])
}

const measure = async (bed: Netbed, fleet: Fleet): Promise<readonly Row[]> => {
  const directory = join(fleet.directory, 'bulk')
  await writeBulk(directory)
  const peers = await fleet.grow(RECEIVERS + 1, (at) => onHost(bed, at))
  const [origin] = peers
  if (origin === undefined) throw new Error('a fleet has a first peer')
  await push(origin, directory, '1')
  await shape(bed)
  const copyMs = await linkCopyMs(bed, join(fleet.directory, 'copied'), BYTES)
  const cpuBefore = await cpuOf(peers)
  const spreadMs = await spread(origin, '1', peers.length)
  const cpu = (await cpuOf(peers)) - cpuBefore
  const servedBytes = await servedOf(origin)
  const rows: Row[] = []
  const row = (what: string, unit: string, figures: number, aim = ''): number =>
    rows.push({ what, unit, aim, figures })
  row('a plain copy over one link', 'MB/s', pace(BYTES, copyMs))
  row('to nine others, each', 'MB/s', pace(BYTES, spreadMs))
  row('share of what a link allows', '%', (100 * copyMs) / spreadMs, '>= 50')
  row('as many times as fast as nine copies out of one link', 'x', (RECEIVERS * copyMs) / spreadMs)
  row('out of the origin', 'x its size', servedBytes / BYTES, '<= 1.5')
  row('cores that all peers kept busy', '', cpu / (spreadMs / 1000))
  return rows
}

const missing = await netbedMissing()
if (missing !== null) process.stderr.write(`packages-link is left out: ${missing}\n`)
else {
  const bed = await Netbed.create(RECEIVERS + 1)
  const fleet = await Fleet.create()
  try {
    const rows = await measure(bed, fleet)
    print('packages-link', rows, [`links of ${MBIT} Mbit/s`])
  } finally {
    await fleet.close()
    await bed.close()
  }
}
