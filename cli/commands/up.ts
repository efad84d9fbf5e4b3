// `tutti up`: runs this machine's peer in the foreground until Ctrl-C or SIGTERM. Reads the options, says one line when the
// peer is ready, and leaves everything else to node/main.ts, which only this file loads. The instances run on when the
// peer ends; the next `up` adopts them.

import { resolve } from 'node:path'
import { messageOf } from '../../lib/errors.ts'
import { NAME_PATTERN } from '../../lib/ids.ts'
import type { LogLevel } from '../../lib/log.ts'
import type { PeerOptions, RunningPeer } from '../../node/main.ts'
import { defaultDataDirectory } from '../default-data.ts'
import { EXIT, Failure, UsageError } from '../exit.ts'
import { writeJson, type Context } from '../io.ts'
import { LAUNCHER } from '../launch.ts'
import { programName } from '../program-name.ts'
import { harmless, paintFor, short } from '../render.ts'

export interface UpOptions {
  readonly data: string | undefined
  readonly name: string | undefined
  readonly listen: readonly string[]
  readonly api: string | undefined
  readonly labels: readonly string[]
  readonly join: string | undefined
  /** Bytes; null: a default by the size of the disk. */
  readonly packageBudget: number | null
  readonly logLevel: LogLevel
}

const NAME = new RegExp(NAME_PATTERN)

/** The options of `up` as the peer takes them. @throws UsageError. */
export const peerOptionsOf = (context: Context, options: UpOptions): PeerOptions => {
  const { environment, directory } = context.io
  const name = options.name ?? null
  if (name !== null && !NAME.test(name)) {
    throw new UsageError(`'${name}' is not a peer's name; use lower-case letters, digits and -`)
  }
  const api = options.api ?? null
  if (api !== null && !/^(\[[0-9a-f:]+\]|[^\s:/]*):\d{1,5}$/i.test(api)) {
    throw new UsageError(`'${api}' is not an address for the API; write HOST:PORT, as in 127.0.0.1:7700`)
  }
  for (const address of options.listen) {
    if (!/^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d+$/.test(address)) {
      throw new UsageError(`'${address}' is not an address to listen on; write /ip4/0.0.0.0/tcp/7701`)
    }
  }
  return {
    data: options.data === undefined ? defaultDataDirectory(environment) : resolve(directory, options.data),
    name,
    listen: options.listen,
    api,
    labels: labelsOf(options.labels),
    packageBudgetBytes: options.packageBudget,
    join: joinOf(options.join ?? environment['TUTTI_TICKET'], context.token),
    logLevel: options.logLevel,
    program: [LAUNCHER],
  }
}

const labelsOf = (labels: readonly string[]): Readonly<Record<string, string>> | null => {
  if (labels.length === 0) return null
  const found: Record<string, string> = {}
  for (const label of labels.flatMap((text) => text.split(','))) {
    const at = label.indexOf('=')
    if (at < 1 || !/^[A-Za-z0-9_.-]{1,128}$/.test(label.slice(0, at))) {
      throw new UsageError(`'${label}' is not a label; write KEY=VALUE, as in zone=eu-1`)
    }
    found[label.slice(0, at)] = label.slice(at + 1)
  }
  return found
}

const joinOf = (join: string | undefined, token: string | null): PeerOptions['join'] => {
  const text = (join ?? '').trim()
  if (text === '') return null
  if (text.startsWith('/')) {
    if (token === null)
      throw new UsageError('joining by address needs the token of tutti invite; add --token')
    return { kind: 'address', address: text, token }
  }
  if (!text.startsWith('tutti1-')) {
    throw new UsageError(
      'that is not a ticket; copy the whole line that tutti invite printed, or give an address',
    )
  }
  return { kind: 'ticket', ticket: text }
}

/** What a person may want next, in another terminal. */
const tellNext = (context: Context, data: string): void => {
  const { stdout, environment } = context.io
  const name = programName(context.io)
  const isDefault = data === defaultDataDirectory(environment)
  const tutti = isDefault ? name : `${name} --peer ${harmless(data)}`
  const paint = paintFor(stdout, environment)
  for (const line of [
    `  ${tutti} apply -f cell.yaml   # runs services`,
    `  ${tutti} invite               # a ticket, with which other machines join`,
    '  Ctrl-C ends this peer; its services run on and are adopted by the next start',
  ])
    stdout.write(`${paint('dim', line)}\n`)
}

/** `tutti up` */
export const up = async (context: Context, options: UpOptions): Promise<number> => {
  const peerOptions = peerOptionsOf(context, options)
  const interrupted = context.io.interruption()
  const { runPeer } = await import('../../node/main.ts')
  const peer: RunningPeer = await runPeer(peerOptions)
  if (context.json) {
    const { name, id, cluster, socket, api, addresses, founded } = peer
    writeJson(context, { name, id, cluster, socket, api, addresses, founded })
  } else {
    const what = peer.founded ? 'created' : 'is in'
    const where = [peer.socket, ...(peer.api === null ? [] : [peer.api])].join(' and ')
    const line = `peer ${peer.name} ${what} cluster ${short(peer.cluster)} and answers on ${where}`
    context.io.stdout.write(`${harmless(line)}\n`)
    if (context.io.stdout.isTerminal) tellNext(context, peerOptions.data)
  }
  let failure: unknown = null
  const ended = peer.ended.catch((thrown: unknown) => {
    failure = thrown ?? new Error('it ended by itself')
  })
  await Promise.race([
    ended,
    new Promise<void>((resolve) => {
      if (interrupted.aborted) resolve()
      interrupted.addEventListener('abort', () => resolve(), { once: true })
    }),
  ])
  if (failure !== null) {
    throw new Failure(EXIT.failed, `the peer ended: ${messageOf(failure)}; start it again with tutti up`, {
      cause: failure,
    })
  }
  await peer.stop()
  return EXIT.done
}
