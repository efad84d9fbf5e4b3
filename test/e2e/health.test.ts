// Probes, restarts and what is said of slots that are not as desired, with real programs: one that hangs, one that crashes
// again and again beside a neighbour, one without ports, one that starts slowly, one that is not there.

import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { describe, it } from 'node:test'
import type { Healthcheck } from '../../crdt/schema/service.ts'
import { applyOf, idle, type Peer, ready, service, until, withFleet } from './support/fleet.ts'
import { webServer } from './support/programs.ts'

/** Accepts and answers until it is asked for `/hang`; from then on it accepts and says nothing. */
const HANGING = `
let hung = false
require('node:http').createServer((request, reply) => {
  if (request.url === '/hang') hung = true
  if (!hung) reply.end('fine')
}).listen(Number(process.env.PORT), '0.0.0.0')
`

const probe = (path: string, over: Partial<Healthcheck> = {}): Healthcheck => ({
  kind: 'http',
  path,
  intervalMs: 200,
  timeoutMs: 500,
  retries: 1,
  startPeriodMs: 30_000,
  ...over,
})

const quickly = {
  condition: 'any',
  delayMs: 20,
  delayMaxMs: 100,
  attemptsMax: null,
  windowMs: 10_000,
} as const

/** What the peer says happened to a service, oldest first. */
const events = async (peer: Peer, name: string): Promise<readonly string[]> => {
  const { events: all } = await peer.get<{ events: { kind: string; subject: string; message: string }[] }>(
    '/v1/events',
  )
  return all
    .filter(({ subject }) => subject.includes(`/${name}/`))
    .map(({ kind, message }) => `${kind} ${message}`)
}

const unfulfilled = async (peer: Peer, name: string) =>
  (await peer.status()).cells
    .flatMap(({ services }) => services)
    .filter((row) => row.name === name)
    .flatMap((row) => row.unfulfilled)

describe('an instance that hangs', () => {
  it('gets no traffic by its healthcheck and is restarted by its liveness, with the reason in the events', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      await peer.change(
        applyOf(
          service('hung', [execPath, '-e', HANGING], {
            ports: { http: 0 },
            healthcheck: probe('/'),
            liveness: probe('/', { intervalMs: 1000, retries: 3, startPeriodMs: 0 }),
            restart: quickly,
            stopGraceMs: 1000,
          }),
        ),
      )
      const [before] = await ready(peer, 'hung', 1)
      assert.ok(before !== undefined)
      get({ host: '127.0.0.1', port: before.ports['http'], path: '/hang', agent: false }).on(
        'error',
        () => undefined,
      )
      await until('it is failing', async () => {
        const { instances } = await peer.instances()
        return instances.some(({ state, pid }) => state === 'failing' && pid === before.pid)
      })
      await until('it runs anew', async () => {
        const { instances } = await peer.instances()
        return instances.some(
          ({ state, pid, restarts }) => state === 'ready' && pid !== before.pid && restarts === 1,
        )
      })
      const told = await events(peer, 'hung')
      assert.ok(
        told.some((line) => line.includes('liveness failed 3 times in a row: GET /: timed out')),
        told.join('\n'),
      )
    }))

  it('stays, without traffic and reported, where only its healthcheck fails', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      await peer.change(
        applyOf(
          service('hung', [execPath, '-e', HANGING], {
            ports: { http: 0 },
            healthcheck: probe('/'),
            unfulfilledAfterMs: 1000,
            stopGraceMs: 1000,
          }),
        ),
      )
      const [before] = await ready(peer, 'hung', 1)
      assert.ok(before !== undefined)
      get({ host: '127.0.0.1', port: before.ports['http'], path: '/hang', agent: false }).on(
        'error',
        () => undefined,
      )
      const [said] = await until('it is unfulfilled', async () => {
        const found = await unfulfilled(peer, 'hung')
        return found.length > 0 ? found : undefined
      })
      assert.deepEqual(
        [said?.state, said?.peer, said?.reason],
        ['failing', 'p0', '1 checks in a row failed: GET /: timed out'],
      )
      const { instances } = await peer.instances()
      assert.deepEqual(
        instances.map(({ pid, restarts }) => [pid, restarts]),
        [[before.pid, 0]],
      )
    }))
})

describe('a crash loop', () => {
  it('is reported with exit status and last lines everywhere, and takes nothing from its neighbour (L6)', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      const file = join(fleet.directory, 'cell.yaml')
      await writeFile(
        file,
        `
name: e2e
services:
  neighbour: { command: sleep 100000 }
  loop:
    command: [sh, -c, "echo trying; echo no database >&2; exit 7"]
    ports: [http]
    deploy: { restart_policy: { delay: 20ms, max_delay: 100ms } }
`,
      )
      const applied = await peer.cli('apply', '-f', file, '--yes', '--wait', '--timeout', '60s')
      assert.equal(applied.code, 1, applied.stdout + applied.stderr)
      assert.match(applied.stderr, /e2e\/loop\/0.*crash loop: exited with 7/)
      assert.match(applied.stderr, /no database/)
      const status = await peer.cli('status', '--json')
      const [said] = (JSON.parse(status.stdout) as Awaited<ReturnType<Peer['status']>>).cells
        .flatMap(({ services }) => services)
        .flatMap((row) => row.unfulfilled)
      assert.deepEqual([said?.exit?.code, said?.exit?.signal], [7, null])
      assert.ok(said !== undefined && (said.exit?.at ?? 0) > 0)
      assert.ok(said.output.includes('no database'))
      assert.match(said.reason, /^crash loop: exited with 7, restarts up to 100ms apart; it wrote last: /)
      const since = said.since
      assert.ok((await events(peer, 'loop')).some((line) => line.startsWith('unfulfilled crash loop')))
      assert.match(await peer.get<string>('/metrics'), /^tutti_unfulfilled_slots\{cause="crash-loop"\} 1$/m)
      const [neighbour] = await ready(peer, 'neighbour', 1)
      assert.equal(neighbour?.restarts, 0)

      // A new peer on the same machine goes on where the last one was.
      await peer.end('SIGKILL')
      await peer.up()
      const [again] = await until('the loop is told again', async () => {
        const found = await unfulfilled(peer, 'loop')
        return found.length > 0 ? found : undefined
      })
      assert.equal(again?.since, since)
      assert.equal((await ready(peer, 'neighbour', 1))[0]?.pid, neighbour?.pid)
    }))
})

describe('a service', () => {
  it('without ports is ready when it has run for a moment, and a slow one within its start period never fails', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      await peer.change(
        applyOf(
          idle('plain'),
          service('slow', webServer('v1', 3000), { ports: { http: 0 }, healthcheck: probe('/healthz') }),
        ),
      )
      await ready(peer, 'plain', 1)
      const [slow] = await ready(peer, 'slow', 1)
      assert.equal(slow?.restarts, 0)
      const told = await events(peer, 'slow')
      assert.deepEqual(
        told.filter((line) => /failing|unfulfilled|crashed/.test(line)),
        [],
      )
    }))

  it('whose program is missing says so at once, is not tried again, and starts when it is there', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      const program = join(fleet.directory, 'late-program')
      await peer.change(applyOf(service('late', [program])))
      const [said] = await until('it is unfulfilled', async () => {
        const found = await unfulfilled(peer, 'late')
        return found.length > 0 ? found : undefined
      })
      assert.match(
        said?.reason ?? '',
        /^cannot be spawned: command '.*late-program' does not exist on peer 'p0'/,
      )
      await writeFile(program, '#!/bin/sh\nexec sleep 100000\n')
      await chmod(program, 0o755)
      const [late] = await ready(peer, 'late', 1)
      assert.equal(late?.restarts, 0)
      const told = await events(peer, 'late')
      assert.equal(told.filter((line) => line === 'unfulfilled is no longer unfulfilled').length, 1)
    }))
})
