// A bad release and its canary: how long after its health deadline the cluster is back at the release before, and how many
// slots it reached. The bad program is healthy at first and then fails its check, which is what a canary is for; its
// deadline is the last of the failures that its check allows.

import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { applyOf, Fleet, ready, service, until, type Peer } from '../test/e2e/support/fleet.ts'
import { pause, print, summarize } from './support.ts'

const PEERS = 3
const REPLICAS = 6
const ROUNDS = 7
const INTERVAL_MS = 500
const RETRIES = 3
/** How long the bad release is well. */
const WELL_MS = 1000
const SETTLE_MS = 2000

/** Turns bad after the first argument's milliseconds, and says when in the file that the second one names. */
const SERVER = `
  const { createServer } = require('node:http')
  const { writeFileSync } = require('node:fs')
  const [wellMs, told] = process.argv.slice(1)
  let isBad = false
  if (told !== undefined) setTimeout(() => { isBad = true; writeFileSync(told, String(Date.now())) }, Number(wellMs))
  createServer((request, reply) => {
    reply.statusCode = isBad ? 500 : 200
    reply.setHeader('connection', 'close')
    reply.end()
  }).listen(Number(process.env.PORT), '127.0.0.1')
`

const web = (...args: readonly string[]) =>
  service('web', [execPath, '-e', SERVER, ...args], {
    replicas: REPLICAS,
    ports: { http: 0 },
    healthcheck: {
      kind: 'http',
      path: '/',
      intervalMs: INTERVAL_MS,
      timeoutMs: INTERVAL_MS,
      retries: RETRIES,
      startPeriodMs: 0,
    },
    update: { order: 'start-first', parallelism: 2, canary: 1, monitorMs: 30_000, failureAction: 'rollback' },
  })

interface Round {
  /** From the last failure that the check allows to all slots ready at the release before, and nothing else running. */
  readonly beyondMs: number
  readonly reached: number
}

const round = async (peer: Peer, told: string, name: string): Promise<Round> => {
  rmSync(told, { force: true })
  const [good] = await ready(peer, 'web', REPLICAS)
  await peer.change(applyOf(web(String(WELL_MS), told, name)))
  const reached = new Set<string>()
  const isBack = async (): Promise<boolean> => {
    const instances = (await peer.instances()).instances.filter((one) => one.service === 'web')
    const others = instances.filter(({ release }) => release !== good?.release)
    for (const { slot, state } of others) if (state !== 'pending') reached.add(slot)
    return existsSync(told) && others.length === 0 && instances.length === REPLICAS
  }
  await until('the release is taken back', isBack)
  const deadline = Number(readFileSync(told, 'utf8')) + RETRIES * INTERVAL_MS
  return { beyondMs: Date.now() - deadline, reached: reached.size }
}

const fleet = await Fleet.create()
try {
  const [peer] = await fleet.grow(PEERS)
  if (peer === undefined) throw new Error('no peer')
  await peer.change(applyOf(web('0')))
  await ready(peer, 'web', REPLICAS)
  await pause(SETTLE_MS)
  const rounds: Round[] = []
  for (let at = 0; at < ROUNDS; at += 1) {
    rounds.push(await round(peer, join(fleet.directory, 'bad'), `${at}`))
    await pause(SETTLE_MS)
  }
  const what = `a bad release of ${REPLICAS} slots over ${PEERS} peers`
  print('canary', [
    {
      what: `${what}: back, beyond its health deadline`,
      unit: 'ms',
      aim: '<= 2000',
      figures: summarize(rounds.map(({ beyondMs }) => beyondMs)),
    },
    {
      what: 'slots that it reached',
      unit: '',
      aim: '1',
      figures: Math.max(...rounds.map((one) => one.reached)),
    },
  ])
} finally {
  await fleet.close()
}
