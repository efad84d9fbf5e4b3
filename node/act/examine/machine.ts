// Everything about this machine that a peer's health depends on, gathered in one call: from the kernel's files, the data
// directory, the clock's keeper and the ports. Works with and without a peer. It judges nothing (node/doctor does).

import { execFile } from 'node:child_process'
import { createConnection } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { sha256Hex } from '../../../lib/hash.ts'
import { hostPortIn } from '../../doctor/hosts.ts'
import type { ClockFacts, Listener, MachineFacts, PortFacts } from '../../doctor/facts.ts'
import { checkPort, PORT_FIRST, PORT_LAST } from '../ports.ts'
import { diskFacts, logFacts } from './disk.ts'
import { cgroupFacts, limitFacts, rangeFacts, systemFiles, toolFacts } from './kernel.ts'

/** What is to be examined. */
export interface ExamineOptions {
  /** Absolute. */
  readonly data: string
  /** Null: no peer runs here. */
  readonly peer: RunningPeerFacts | null
}

/** What only the peer itself can say. */
export interface RunningPeerFacts {
  /** Multiaddrs it listens on. */
  readonly addresses: readonly string[]
  /** `http://HOST:PORT`; null: the API is not served over TCP. */
  readonly api: string | null
  readonly steppedMs: number
}

/** Ports that `tutti up` takes when nothing else is said. */
const PEER_PORT = 7701
/** A refused or accepted connection on one's own machine takes no time; silence means that something drops it. */
const CONNECT_MS = 1500
/** They answer from memory. */
const ASK_MS = 1500

/** Gathers. Never rejects for what it finds; takes as long as five syncs of the disk, at most a few seconds. */
export const examineMachine = async ({ data, peer }: ExamineOptions): Promise<MachineFacts> => {
  const [disk, log, ports, clock] = await Promise.all([
    diskFacts(data),
    logFacts(join(data, 'log')),
    portFacts(peer),
    clockFacts(peer?.steppedMs ?? null),
  ])
  return {
    node: process.versions.node,
    limits: limitFacts(systemFiles, peer !== null),
    cgroups: cgroupFacts(systemFiles),
    clock,
    disk,
    log,
    ports,
    tools: toolFacts(systemFiles, process.env['PATH'] ?? ''),
  }
}

/** The same for all peers of one machine, since its start; tells nothing else about it. */
export const machineMark = (): string =>
  sha256Hex(`tutti/machine/1/${systemFiles.read('/proc/sys/kernel/random/boot_id') ?? ''}`).slice(0, 16)

/** Why a TCP connection there cannot be made; null: it can. */
export const connectFailure = (host: string, port: number, timeoutMs = CONNECT_MS): Promise<string | null> =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port })
    const finish = (failure: string | null): void => {
      socket.destroy()
      resolve(failure)
    }
    socket.setTimeout(timeoutMs, () => finish('no answer'))
    socket.once('connect', () => finish(null))
    socket.once('error', (error) => finish('code' in error ? String(error.code) : error.message))
  })

const portFacts = async (peer: RunningPeerFacts | null): Promise<PortFacts> => {
  const shared = { ...rangeFacts(systemFiles), allocated: { first: PORT_FIRST, last: PORT_LAST } }
  if (peer === null)
    return { ...shared, listening: [], wanted: [{ port: PEER_PORT, failure: await checkPort(PEER_PORT) }] }
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
  )
  const targets = peer.addresses.flatMap((address) => {
    const target = hostPortIn(address)
    // A name or another machine's address (a forwarded port) says nothing about this machine.
    return target === null || !own.has(target.host)
      ? []
      : [{ what: 'peers' as const, address: `${target.host}:${target.port}`, ...target }]
  })
  const api = peer.api === null ? [] : [apiTarget(peer.api)]
  const listening = await Promise.all(
    [...targets, ...api].map(async ({ what, address, host, port }): Promise<Listener> => ({
      what,
      address,
      port,
      failure: await connectFailure(host, port),
    })),
  )
  return { ...shared, listening, wanted: [] }
}

const apiTarget = (api: string) => {
  const { hostname, port } = new URL(api)
  const host = hostname.replace(/^\[|\]$/g, '')
  // What listens on every address is reached on loopback.
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return { what: 'API' as const, address: `${hostname}:${port}`, host: near, port: Number(port) }
}

const output = (command: string, args: readonly string[]): Promise<string | null> =>
  new Promise((resolve) => {
    execFile(command, args, { timeout: ASK_MS, env: { ...process.env, LC_ALL: 'C' } }, (failure, stdout) => {
      resolve(failure === null ? stdout.trim() : null)
    })
  })

/** Asks those who may keep the clock, the nearest first. */
const clockFacts = async (steppedMs: number | null): Promise<ClockFacts> => {
  if (systemFiles.read('/run/systemd/timesync/synchronized') !== null) {
    return { synchronised: true, source: 'systemd-timesyncd', steppedMs }
  }
  const tracking = await output('chronyc', ['-n', 'tracking'])
  if (tracking !== null) {
    return {
      synchronised: /Leap status\s*:\s*(Normal|Insert|Delete)/.test(tracking),
      source: 'chrony',
      steppedMs,
    }
  }
  const told = await output('timedatectl', ['show', '--property=NTPSynchronized', '--value'])
  if (told === 'yes' || told === 'no')
    return { synchronised: told === 'yes', source: 'timedatectl', steppedMs }
  return { synchronised: null, source: '', steppedMs }
}
