// `tutti doctor`: what is wrong with this machine and the cluster, and what to do about it. The running peer examines and
// judges; where none runs, this process examines the machine by itself. Exits with 1 when something is broken.

import { resolve } from 'node:path'
import { TuttiError } from '../../lib/errors.ts'
import { examineMachine } from '../../node/act/examine/machine.ts'
import { warn as warning } from '../../node/doctor/finding.ts'
import { judgeMachine } from '../../node/doctor/judge-machine.ts'
import type { DoctorReply, FindingReply, LinkReply } from '../../node/serve/api/contract-doctor.ts'
import { Client, clientOf } from '../client.ts'
import { defaultDataDirectory, socketOf } from '../default-data.ts'
import { EXIT } from '../exit.ts'
import { writeJson, type Context } from '../io.ts'
import { typable } from '../program-name.ts'
import { cell, counted, harmless, paintFor, table, type Colour } from '../render.ts'
import { tellFreshness } from '../talk.ts'

export interface DoctorOptions {
  readonly data: string | undefined
  readonly all: boolean
}

const COLOURS: Readonly<Record<FindingReply['level'], Colour>> = { ok: 'green', warn: 'yellow', fail: 'red' }
/** A matrix of more members is no longer read but searched: `--json`. */
const MATRIX_MEMBERS_MAX = 16

/** `tutti doctor` */
export const doctor = async (context: Context, options: DoctorOptions): Promise<number> => {
  const data = dataOf(context, options)
  const client =
    data === null ? clientOf(context) : new Client({ kind: 'socket', path: socketOf(data) }, null)
  const reply = await askPeer(client, options.all, data !== null)
  const findings = reply?.findings ?? (await withoutPeer(client, data ?? ''))
  const healthy = findings.every(({ level }) => level !== 'fail')
  if (context.json) writeJson(context, reply ?? { healthy, findings, members: [], links: [] })
  else {
    showFindings(context, findings)
    if (reply !== null) {
      showMatrix(context, reply.links)
      tellFreshness(context, reply.asOf)
    }
    tellSum(context, findings)
  }
  return healthy ? EXIT.done : EXIT.failed
}

/** The data directory that is meant; null when a peer was named, which may be anywhere. */
const dataOf = ({ io, peer }: Context, { data }: DoctorOptions): string | null => {
  if (data !== undefined) return resolve(io.directory, data)
  if (peer !== null || (io.environment['TUTTI_PEER'] ?? '') !== '') return null
  return defaultDataDirectory(io.environment)
}

/** Null where no peer answers and the machine alone can be examined. @throws TuttiError for anything else. */
const askPeer = async (client: Client, all: boolean, mayBeMissing: boolean): Promise<DoctorReply | null> => {
  try {
    return await client.get<DoctorReply>('/v1/doctor', { all })
  } catch (thrown) {
    if (mayBeMissing && thrown instanceof TuttiError && thrown.code === 'unreachable') return null
    throw thrown
  }
}

const withoutPeer = async (client: Client, data: string): Promise<readonly FindingReply[]> => {
  const facts = await examineMachine({ data, peer: null })
  const none = warning(
    'peer',
    `no peer answers on ${client.name}; only this machine was examined`,
    'start one with tutti up, or name one with --peer',
  )
  return [none, ...judgeMachine(facts)].map((finding) => ({ peer: '', ...finding }))
}

const showFindings = (context: Context, findings: readonly FindingReply[]): void => {
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  const named = new Set(findings.map(({ peer }) => peer).filter((peer) => peer !== '')).size > 1
  const words = (text: string): string => harmless(typable(text, context.io))
  if (!stdout.isTerminal) {
    const rows = findings.map(({ peer, level, check, found, advice }) =>
      [level, check, ...(named ? [peer] : []), words(found), words(advice)].map((text) => cell(text)),
    )
    stdout.write(table(['LEVEL', 'CHECK', ...(named ? ['PEER'] : []), 'FOUND', 'DO'], rows, stdout, paint))
    return
  }
  const width = Math.max(...findings.map(({ check }) => check.length))
  for (const { peer, level, check, found, advice } of findings) {
    const whose = named && peer !== '' ? `${harmless(peer)}: ` : ''
    stdout.write(
      `${paint(COLOURS[level], level.padEnd(4))}  ${harmless(check).padEnd(width)}  ${whose}${words(found)}\n`,
    )
    // On a line of its own: a sentence to act on must not be cut at the edge.
    if (advice !== '') stdout.write(`${' '.repeat(width + 8)}${paint('bold', '→')} ${words(advice)}\n`)
  }
}

const SIGNS: Readonly<Record<LinkReply['state'], string>> = {
  reaches: 'ok',
  connected: 'one-way',
  cut: 'cut',
  unknown: '?',
}

/** Who reaches whom, a row for each that tries; only where something is wrong. */
const showMatrix = (context: Context, links: readonly LinkReply[]): void => {
  const { stdout, environment } = context.io
  const names = [...new Set(links.map(({ from }) => from))]
  if (links.every(({ state }) => state === 'reaches') || names.length > MATRIX_MEMBERS_MAX) return
  const states = new Map(links.map(({ from, to, state }) => [`${from}\n${to}`, state]))
  const rows = names.map((from) => [
    cell(from),
    ...names.map((to) => {
      const state = states.get(`${from}\n${to}`)
      return state === undefined ? cell('.') : cell(SIGNS[state], state === 'reaches' ? 'green' : 'red')
    }),
  ])
  stdout.write(
    `\n${table(['FROM \\ TO', ...names.map(harmless)], rows, stdout, paintFor(stdout, environment))}`,
  )
}

const tellSum = (context: Context, findings: readonly FindingReply[]): void => {
  const count = (level: FindingReply['level']): number => findings.filter((one) => one.level === level).length
  const [broken, warned] = [count('fail'), count('warn')]
  const sum =
    broken + warned === 0
      ? 'nothing is wrong'
      : `${counted(broken, 'failure')}, ${counted(warned, 'warning')}`
  context.io.stderr.write(`${sum}\n`)
}
