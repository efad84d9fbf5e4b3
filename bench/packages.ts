// Packages over real peers on loopback: 100 MB from one peer to nine others, how much of it leaves the origin, and what a change
// of a hundredth moves. All peers and the plain copy that it is compared with share the machine's cores and its disk.

import { randomBytes } from 'node:crypto'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { applyOf, Fleet, idle, tutti, until, type Peer } from '../test/e2e/support/fleet.ts'
import type { PackagesReply } from '../node/serve/api/contract-packages.ts'
import { rawCopyMs } from './packages/raw-copy.ts'
import { print, type Row } from './support.ts'

const RECEIVERS = 9
const FILES = 20
const FILE_BYTES = 5 * 1024 * 1024
const BYTES = FILES * FILE_BYTES
/** A hundredth of the bytes, in ten places. */
const CHANGES = 10
const CHANGE_BYTES = Math.floor(BYTES / 100 / CHANGES)

const ask = (peer: Peer, path: string): Promise<string> =>
  new Promise((done, failed) => {
    const call = request({ socketPath: peer.socket, path, agent: false }, (reply) => {
      done(text(reply))
    })
    call.on('error', failed)
    call.end()
  })

const metric = async (peer: Peer, name: string): Promise<number> =>
  Number(
    (await ask(peer, '/metrics'))
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ')[1] ?? 0,
  )

const fetchedOf = (peer: Peer): Promise<number> => metric(peer, 'tutti_package_fetched_bytes_total')
const servedOf = (peer: Peer): Promise<number> => metric(peer, 'tutti_package_served_bytes_total')

const push = async (peer: Peer, directory: string, version: string): Promise<number> => {
  const words = ['--name', 'bulk', '--version', version, '--copies', '1', '--json', '--peer', peer.socket]
  const { code, stdout, stderr } = await tutti(['package', 'push', directory, ...words])
  if (code !== 0) throw new Error(stderr)
  const reply: { readonly sentBytes: number } = JSON.parse(stdout)
  return reply.sentBytes
}

/** Applies a service that runs from that version everywhere; resolves with the time until all peers have it. */
const spread = async (origin: Peer, version: string): Promise<number> => {
  const from = performance.now()
  await origin.change(applyOf(idle('bulk', { package: `bulk@${version}`, mode: 'global', replicas: null })))
  await until(
    'everybody has it',
    async () => {
      const reply: PackagesReply = JSON.parse(await ask(origin, '/v1/packages'))
      const found = reply.packages.find((each) => each.version === version)
      const { holders = [], fetching = [] } = found ?? {}
      if (holders.length > RECEIVERS) return true
      throw new Error(`held by ${holders.join(', ')}; on its way to ${fetching.join(', ')}`)
    },
    120_000,
  )
  return performance.now() - from
}

/** Changes some of the bytes in place. */
const change = async (directory: string): Promise<void> => {
  for (let at = 0; at < CHANGES; at += 1) {
    const file = await open(join(directory, `f${at * 2}`), 'r+')
    await file.write(randomBytes(CHANGE_BYTES), 0, CHANGE_BYTES, 1024 * 1024)
    await file.close()
  }
}

const rows: Row[] = []
const fleet = await Fleet.create()
try {
  const directory = join(fleet.directory, 'bulk')
  await mkdir(directory)
  for (let at = 0; at < FILES; at += 1) await writeFile(join(directory, `f${at}`), randomBytes(FILE_BYTES))
  const [origin, ...others] = await fleet.grow(RECEIVERS + 1)
  if (origin === undefined) throw new Error('a fleet has a first peer')
  const pushFrom = performance.now()
  await push(origin, directory, '1')
  const pushMs = performance.now() - pushFrom
  const rawMs = await rawCopyMs(fleet.directory, RECEIVERS, BYTES)
  const spreadMs = await spread(origin, '1')
  const servedBytes = await servedOf(origin)
  const rawAgainMs = await rawCopyMs(fleet.directory, RECEIVERS, BYTES)
  const fetchedBefore = await Promise.all(others.map(fetchedOf))
  await change(directory)
  const sentBytes = await push(origin, directory, '2')
  await spread(origin, '2')
  const fetchedAfter = await Promise.all(others.map(fetchedOf))
  const moved = fetchedAfter.map((bytes, at) => bytes - (fetchedBefore[at] ?? 0))
  const per = (bytes: number, ms: number): number => bytes / 1e6 / (ms / 1000)
  rows.push(
    { what: 'push of 100 MB to the first peer', unit: 'MB/s', aim: '', figures: per(BYTES, pushMs) },
    { what: 'to nine others, each', unit: 'MB/s', aim: '', figures: per(BYTES, spreadMs) },
    {
      what: 'a plain copy to nine, before and after',
      unit: 'MB/s',
      aim: '',
      figures: per(BYTES, (rawMs + rawAgainMs) / 2),
    },
    {
      what: 'share of the plain copy',
      unit: '%',
      aim: '>= 50',
      figures: (100 * (rawMs + rawAgainMs)) / 2 / spreadMs,
    },
    { what: 'out of the origin', unit: 'x its size', aim: '<= 1.5', figures: servedBytes / BYTES },
    { what: '1 % changed: sent by the push', unit: '%', aim: '<= 3', figures: (100 * sentBytes) / BYTES },
    {
      what: '1 % changed: fetched by a peer, the most',
      unit: '%',
      aim: '<= 3',
      figures: (100 * Math.max(...moved)) / BYTES,
    },
  )
} finally {
  await fleet.close()
}
print('packages', rows)
