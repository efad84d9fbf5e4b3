// What `tutti plan` costs a peer: the forecast as the pure function that it is, and the whole request of a dry change, from
// the operations to the reply. One process, no network; the cluster is made up, its document is a real one.

import type { ServiceView, View } from '../crdt/schema/view.ts'
import type { ServiceSpec } from '../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../crdt/schema/service-defaults.ts'
import { forecastView } from '../node/plan/forecast.ts'
import { place, PlacementMemo } from '../node/plan/placement.ts'
import { fleet, numbered, service } from '../test/node/plan/fleet.ts'
import { FakeAgent } from '../test/node/serve/fake-agent.ts'
import { FakeApis } from '../test/node/serve/fake-api.ts'
import { print, summarize, type Row } from './support.ts'

const SERVICES = 1000
const CELLS = 10
const MEMBERS = 100
const REPLICAS = 3
/** Odd, so that the median is a run. */
const RUNS = 15
/** A hundred elections each. */
const LOSSES_RUNS = 3
const AIM = 'p99 <= 300'

const timed = async (what: () => unknown): Promise<number> => {
  const from = performance.now()
  await what()
  return performance.now() - from
}

const row = (what: string, samples: readonly number[]): Row => ({
  what,
  unit: 'ms',
  aim: AIM,
  figures: summarize(samples),
})

/** A whole cell is scaled by one and gets a new release: what an apply of its file changes at most. */
const changedBy = (view: View, cell: string): View => ({
  ...view,
  services: view.services.map((one): ServiceView =>
    one.cell === cell
      ? { ...one, release: 'next' as ServiceView['release'], replicas: one.replicas + 1 }
      : one,
  ),
})

const pureRows = async (): Promise<readonly Row[]> => {
  const services = Array.from({ length: SERVICES }, (_, at) =>
    service(`c${at % CELLS}/s${at}`, { replicas: REPLICAS }),
  )
  const input = fleet({ members: numbered(MEMBERS), services })
  const memo = new PlacementMemo()
  const before = place(input, memo)
  const cold: number[] = []
  const warm: number[] = []
  for (let run = 0; run < RUNS; run += 1) {
    const view = changedBy(input.view, `c${run % CELLS}`)
    cold.push(await timed(() => forecastView(input, view)))
    warm.push(await timed(() => forecastView(input, view, { memo, before })))
  }
  return [row('forecast, from nothing', cold), row('forecast, with a memo', warm)]
}

const cellOf = (
  name: string,
  version: number,
  replicas: number,
): { name: string; services: ServiceSpec[] } => ({
  name,
  services: Array.from({ length: SERVICES / CELLS }, (_, at) => ({
    ...SERVICE_DEFAULTS,
    uses: [],
    constraints: [],
    name: `s${at}`,
    command: ['serve', String(version)],
    replicas,
  })),
})

const requestRows = async (): Promise<readonly Row[]> => {
  const agent = new FakeAgent(Array.from({ length: MEMBERS }, (_, at) => `m${at}`))
  for (let at = 0; at < CELLS; at += 1) agent.apply(`c${at}`, cellOf(`c${at}`, 1, REPLICAS).services)
  const api = await new FakeApis().of(agent)
  const post = async (url: string, payload: object): Promise<void> => {
    const reply = await api.app.inject({ method: 'POST', url, payload })
    if (reply.statusCode !== 200) throw new Error(reply.body)
  }
  const ask = (operations: readonly object[]): Promise<void> => post('/v1/changes', { operations, dry: true })
  const first = await timed(() => ask([{ kind: 'scale', service: 'c0/s0', replicas: 4 }]))
  const whole: number[] = []
  const scale: number[] = []
  for (let run = 0; run < RUNS; run += 1) {
    whole.push(
      await timed(() => ask([{ kind: 'apply', cell: cellOf(`c${run % CELLS}`, 2 + run, REPLICAS + 1) }])),
    )
    scale.push(await timed(() => ask([{ kind: 'scale', service: `c${run % CELLS}/s7`, replicas: 4 }])))
  }
  const losses: number[] = []
  for (let run = 0; run < LOSSES_RUNS; run += 1) losses.push(await timed(() => post('/v1/simulations', {})))
  await api.close()
  return [
    row('request: the first one of a peer, one service scaled', [first]),
    row(`request: one service scaled`, scale),
    row(`request: a cell of ${SERVICES / CELLS} services, all released anew and scaled`, whole),
    { ...row(`request: the loss of each of ${MEMBERS} members simulated`, losses), aim: '' },
  ]
}

print(
  'plan',
  [...(await pureRows()), ...(await requestRows())],
  [
    `${SERVICES} services x ${REPLICAS} on ${MEMBERS} members; a request is JSON in, JSON out, without the socket`,
  ],
)
