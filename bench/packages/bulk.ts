// What the benches of packages share: a package of 100 MB that no compression helps with, its push to one peer, and its way to
// all others by a service that runs everywhere.

import { randomBytes } from 'node:crypto'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { applyOf, idle, tutti, until, type Peer } from '../../test/e2e/support/fleet.ts'
import type { PackagesReply } from '../../node/serve/api/contract-packages.ts'
import { cpuSeconds } from '../support.ts'

const FILES = 20
const FILE_BYTES = 5 * 1024 * 1024
export const BYTES = FILES * FILE_BYTES
/** A hundredth of the bytes, in ten places. */
const CHANGES = 10
const CHANGE_BYTES = Math.floor(BYTES / 100 / CHANGES)
/** A run on a machine that does much else; a figure that takes longer is none. */
const SPREAD_TIMEOUT_MS = 240_000

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

export const fetchedOf = (peer: Peer): Promise<number> => metric(peer, 'tutti_package_fetched_bytes_total')
export const servedOf = (peer: Peer): Promise<number> => metric(peer, 'tutti_package_served_bytes_total')

/** CPU time that the peers have used so far, user and system. */
export const cpuOf = async (peers: readonly Peer[]): Promise<number> =>
  (await Promise.all(peers.map(({ pid }) => cpuSeconds(pid)))).reduce((sum, each) => sum + each, 0)

export const writeBulk = async (directory: string): Promise<void> => {
  await mkdir(directory)
  for (let at = 0; at < FILES; at += 1) await writeFile(join(directory, `f${at}`), randomBytes(FILE_BYTES))
}

/** Changes some of the bytes in place. */
export const changeBulk = async (directory: string): Promise<void> => {
  for (let at = 0; at < CHANGES; at += 1) {
    const file = await open(join(directory, `f${at * 2}`), 'r+')
    await file.write(randomBytes(CHANGE_BYTES), 0, CHANGE_BYTES, 1024 * 1024)
    await file.close()
  }
}

/** Resolves with the bytes that were sent to the peer. */
export const push = async (peer: Peer, directory: string, version: string): Promise<number> => {
  const words = ['--name', 'bulk', '--version', version, '--copies', '1', '--json', '--peer', peer.socket]
  const { code, stdout, stderr } = await tutti(['package', 'push', directory, ...words])
  if (code !== 0) throw new Error(stderr)
  const reply: { readonly sentBytes: number } = JSON.parse(stdout)
  return reply.sentBytes
}

/** Applies a service that runs from that version everywhere; resolves with the time until so many peers have it. */
export const spread = async (origin: Peer, version: string, peers: number): Promise<number> => {
  const from = performance.now()
  await origin.change(applyOf(idle('bulk', { package: `bulk@${version}`, mode: 'global', replicas: null })))
  await until(
    'everybody has it',
    async () => {
      const reply: PackagesReply = JSON.parse(await ask(origin, '/v1/packages'))
      const found = reply.packages.find((each) => each.version === version)
      const { holders = [], fetching = [] } = found ?? {}
      if (holders.length >= peers) return true
      throw new Error(`held by ${holders.join(', ')}; on its way to ${fetching.join(', ')}`)
    },
    SPREAD_TIMEOUT_MS,
  )
  return performance.now() - from
}

/** Megabytes a second. */
export const pace = (bytes: number, ms: number): number => bytes / 1e6 / (ms / 1000)
