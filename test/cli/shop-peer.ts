// A peer of a cluster that runs one cell, shop: what it answers on every route that whole commands are tested against, and
// the directory they are run in. A test overrides the routes that it is about.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { ChangeReply } from '../../node/serve/api/contract.ts'
import type { WatchReply } from '../../node/serve/api/contract-streams.ts'
import { asOf, fakePeer, type Answer, type FakePeer } from './fake.ts'

/** What the peer replies to a change: two fields edited, two slots touched, one warning. */
export const change = (changes: Partial<ChangeReply> = {}): ChangeReply => ({
  asOf,
  change: null,
  digest: 'd1d2d3d4d5d6',
  accepted: 'local',
  edits: [
    { path: 'shop/web replicas', from: '2', to: '3' },
    { path: 'shop/web command', from: null, to: '["node"]' },
  ],
  slots: [
    { slot: 'shop/web/2', kind: 'start', from: null, to: 'b', reason: 'new' },
    { slot: 'shop/web/0', kind: 'replace', from: 'a', to: 'a', reason: '' },
  ],
  warnings: ['constraint is met by nobody'],
  ...changes,
})

/** One moment of a watch on the single slot of shop/web, which is in this state. */
export const watch = (state: string): WatchReply => ({
  digest: 'd1d2d3d4d5d6',
  settled: state === 'ready',
  peers: [{ name: 'a', state: 'alive', digest: 'd1d2d3d4d5d6', settled: state === 'ready' }],
  slots: [
    {
      slot: 'shop/web/0',
      peer: 'a',
      state,
      release: 'r',
      desired: true,
      reason: state === 'ready' ? '' : 'why',
    },
  ],
})

const service = {
  name: 'web',
  mode: 'replicated',
  desired: 3,
  ready: 2,
  release: 'abc',
  releasing: true,
  stopped: false,
  unfulfilled: [
    {
      slot: 'shop/web/2',
      peer: 'b',
      state: 'crashed',
      reason: 'exited with 1',
      since: 40_000,
      exit: { code: 1, signal: null, at: 1 },
      output: ['no database'],
    },
  ],
  conflicts: [],
}

const instance = {
  slot: 'shop/web/0',
  cell: 'shop',
  service: 'web',
  index: 0,
  peer: 'a',
  release: 'abc',
  state: 'ready',
  pid: 42,
  ports: { http: 8080 },
  host: '127.0.0.1',
  since: 40_000,
  restarts: 0,
  reason: '',
}

/** One line of the output of a slot, as the peer streams it. */
export const line = (at: number, slot: string, text: string, stream = 'stdout', release = 'r') =>
  `${JSON.stringify({ at, peer: 'a', slot, instance: `${slot}@${release}`, stream, text })}\n`

/** Streams these moments of a watch, and leaves the stream open. */
export const sendEvents =
  (...values: readonly WatchReply[]): Answer =>
  (_asked, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const value of values) response.write(`data: ${JSON.stringify(value)}\n\n`)
  }

/** What the peer answers, unless `extra` says otherwise. */
export const routes = (extra: Readonly<Record<string, Answer>> = {}): Record<string, Answer> => ({
  'GET /v1/peers': () => ({ asOf, cluster: 'c1', braked: false, peers: [] }),
  'GET /v1/services': () => ({
    asOf,
    services: [{ cell: 'shop', ...service, command: ['node', 'a\u001b[2J'], ports: [] }],
  }),
  'GET /v1/instances': () => ({
    asOf,
    instances: [instance, { ...instance, slot: 'shop/cart/0', service: 'cart' }],
  }),
  'GET /v1/status': () => ({
    asOf,
    digest: asOf.digest,
    settled: false,
    waiting: [{ peer: 'b', reason: 'starting shop/web/2' }],
    cells: [{ name: 'shop', services: [service] }],
  }),
  'GET /v1/conflicts': () => ({ asOf, conflicts: [] }),
  'GET /v1/events': () => ({
    asOf,
    events: [{ at: 0, peer: 'a', kind: 'change', subject: 'shop', message: 'applied' }],
  }),
  'GET /v1/logs': (_asked, response) => {
    response.end(
      line(1, 'shop/web/0', 'first\u001b]0;x\u0007') +
        line(2, 'shop/web/1', 'second') +
        line(3, 'shop/web/0', 'b is away', 'notice'),
    )
  },
  'GET /v1/placements': () => ({
    asOf,
    slots: [
      {
        slot: 'shop/web/0',
        peer: 'a',
        reason: 'first choice',
        version: 1,
        candidates: [{ peer: 'a', eligible: true, reasons: ['fits'], rank: 1 }],
        unfulfilled: {
          slot: 'shop/web/0',
          peer: 'a',
          state: 'crashed',
          reason: 'crash loop',
          since: 1,
          exit: { code: 7, signal: null, at: 1 },
          output: ['no database'],
        },
        changes: ['cordon a'],
      },
    ],
  }),
  'GET /v1/watch': sendEvents(watch('starting'), watch('ready')),
  'POST /v1/changes': ({ body }) =>
    change((body as { dry?: boolean }).dry === true ? {} : { change: 'c0ffee0011223344', warnings: [] }),
  'POST /v1/invites': () => ({ ticket: 'tutti1-abc', token: 't', addresses: [], expiresAt: 1, uses: 2 }),
  'POST /v1/join': () => ({ cluster: 'c1c2c3c4c5', id: '12D3', name: 'b', members: 3 }),
  ...extra,
})

export interface ShopPeer {
  readonly peer: FakePeer
  /** Holds cell.yaml, which is well, and bad.yaml, which is not. */
  readonly directory: string
  /** What was posted to the peer so far. */
  readonly bodies: () => readonly unknown[]
}

/** A peer with these routes and a directory to run commands in; both are gone after the tests of the calling file. */
export const shopPeer = async (): Promise<ShopPeer> => {
  const directory = mkdtempSync(join(tmpdir(), 'tutti-prog-'))
  writeFileSync(join(directory, 'cell.yaml'), 'name: shop\nservices: { web: { command: [node, a.js] } }\n')
  writeFileSync(join(directory, 'bad.yaml'), 'name: shop\nservices: { web: { comand: x } }\n')
  const peer = await fakePeer(routes())
  after(async () => {
    await peer.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    peer,
    directory,
    bodies: () => peer.asked.filter(({ method }) => method === 'POST').map(({ body }) => body),
  }
}
