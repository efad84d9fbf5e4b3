// The prober on a clock that the test turns, and single probes against real servers.

import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { after, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { seededRandom } from '../../../lib/random.ts'
import type { Clock } from '../../../lib/time.ts'
import { ShellForker } from '../../../node/act/forker.ts'
import { Cut } from '../../../node/act/cut.ts'
import { createProber, tallied } from '../../../node/act/prober.ts'
import { TALLY_EMPTY } from '../../../node/plan/facts.ts'
import { probeSpecOf, type ProbeSpec } from '../../../node/act/probe-spec.ts'
import { realProbe, type ProbeOutcome } from '../../../node/act/probes.ts'
import type { ProbeTally } from '../../../node/plan/local.ts'
import { recordFor } from '../../contracts/driver.ts'
import { carriersOf } from './support/bed.ts'
import { keepingLog } from './support/bed.ts'
import { systemClock } from '../../../node/clock.ts'
import { until } from '../../support/until.ts'

const place = { environment: { PATH: process.env['PATH'] ?? '' }, directory: tmpdir(), peer: 'a' }
const times = {
  intervalMs: 5000,
  countEveryMs: 5000,
  timeoutMs: 1000,
  startPeriodMs: 0,
  successes: 1,
  eager: true,
  once: false,
}
const tcp = (number: number, over: Partial<typeof times> = {}): ProbeSpec => ({
  kind: 'tcp',
  ports: [{ name: 'a', number }],
  ...times,
  ...over,
})
const http = (port: number, path = '/'): ProbeSpec => ({ kind: 'http', port, path, ...times })

/** A prober whose every delay the test sees and lets pass; `outcomes` answer its probes in turn. */
const turned = (spec: ProbeSpec, outcomes: readonly ProbeOutcome[], ageMs = 0) => {
  let now = 0
  let due: { readonly atMs: number; readonly fire: () => void } | null = null
  const clock: Clock = {
    now: () => now,
    wall: () => now,
    after: (delayMs, fire) => {
      assert.equal(due, null, 'one probe at a time')
      due = { atMs: now + delayMs, fire }
      return () => {
        due = null
      }
    },
  }
  let asked = 0
  const tallies: ProbeTally[] = []
  const changes: boolean[] = []
  const prober = createProber({
    clock,
    random: seededRandom('prober'),
    probe: async () => {
      asked += 1
      return outcomes[Math.min(asked, outcomes.length) - 1] ?? null
    },
  })
  const probing = prober.watch({ spec, place, ageMs }, (tally, changed) => {
    tallies.push(tally)
    changes.push(changed)
  })
  const delays: number[] = []
  return {
    probing,
    tallies,
    changes,
    delays,
    /** Lets probes happen until `times` have or none is due. */
    turn: async (count: number): Promise<void> => {
      for (let at = 0; at < count; at += 1) {
        if (due === null) return
        const { atMs, fire } = due
        due = null
        delays.push(atMs - now)
        now = atMs
        fire()
        await new Promise((resolve) => {
          setImmediate(resolve)
        })
      }
    },
  }
}

describe('prober', () => {
  it('asks in quick succession until the first success, and then once an interval', async () => {
    const failures = Array.from({ length: 20 }, () => 'connect ECONNREFUSED')
    const { turn, delays, tallies } = turned(http(1), [...failures, null])
    await turn(24)
    assert.deepEqual(
      delays.slice(0, 11),
      Array.from({ length: 11 }, () => 20),
    )
    assert.ok(delays.slice(0, 21).every((delay) => delay <= 60))
    // The first one at any time within an interval, so that what became ready at once is not asked at once for ever.
    assert.ok((delays[21] ?? 0) >= 20 && (delays[21] ?? 9999) <= 5050)
    assert.ok(delays.slice(22).every((delay) => delay >= 4500 && delay <= 5550))
    assert.equal(new Set(delays.slice(21)).size, 3)
    assert.equal(tallies.at(-1)?.everOk, true)
  })

  it('asks on common beats once it is in no hurry, unless a beat is much of the interval', async () => {
    for (const [intervalMs, onBeats] of [
      [5000, 8],
      [1000, 8],
      [500, 0],
    ] as const) {
      const { turn, delays } = turned(tcp(1, { intervalMs, countEveryMs: intervalMs }), [null])
      await turn(9)
      const moments = delays.map((_, at) => delays.slice(0, at + 1).reduce((sum, delay) => sum + delay, 0))
      const far = moments.map((moment) => Math.abs(moment - Math.round(moment / 50) * 50))
      assert.equal(far.slice(1).filter((distance) => distance < 1e-6).length, onBeats, `${intervalMs} ms`)
    }
  })

  it('counts one failure an interval until the first success, none in the start period, and all after it', async () => {
    const { turn, tallies, delays } = turned(
      { ...http(1), startPeriodMs: 1000, intervalMs: 500, countEveryMs: 500 },
      [...Array.from({ length: 60 }, () => 'no'), null, 'no', 'no'],
    )
    await turn(63)
    const counts = tallies.map((tally) => tally.failedInARow)
    assert.ok(counts.slice(0, 20).every((count) => count === 0))
    const waitedMs = delays.slice(0, 60).reduce((sum, delay) => sum + delay, 0)
    assert.ok((counts[59] ?? 0) > 2 && (counts[59] ?? 0) <= 1 + (waitedMs - 1000) / 500)
    assert.deepEqual(counts.slice(60), [0, 1, 2])
    assert.equal(tallies[0]?.lastFailure, 'no')
  })

  it('says which tallies matter: the first successes and every failure', async () => {
    const { turn, changes } = turned(http(1), [null, null, null, null, null, 'no', 'no', null])
    await turn(8)
    assert.deepEqual(changes, [true, true, true, false, false, true, true, true])
  })

  it('stops after one success where only an open port is asked for', async () => {
    const { turn, tallies } = turned(tcp(1, { once: true }), ['no', null])
    await turn(10)
    assert.equal(tallies.length, 2)
  })

  it('asks an adopted instance at once, and nothing after it is stopped', async () => {
    const { turn, delays, probing, tallies } = turned(http(1), [null], 5000)
    await turn(1)
    await probing.first
    assert.deepEqual(delays, [0])
    probing.stop()
    await turn(1)
    assert.equal(tallies.length, 1)
  })
})

describe('tallied', () => {
  it('counts how often checks begin to fail after some have passed, whatever came before', () => {
    const outcomes = [false, true, false, false, true, true, false, true]
    const tally = outcomes.reduce((each, isOk) => tallied(each, isOk ? null : 'no', true), TALLY_EMPTY)
    assert.equal(tally.lapses, 2)
  })

  it('forgets failures, and counts a first success, only after as many successes in a row as asked (property)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        (outcomes, successes) => {
          let tally = TALLY_EMPTY
          let row = 0
          for (const isOk of outcomes) {
            const before = tally
            tally = tallied(tally, isOk ? null : 'no', true, successes)
            row = isOk ? row + 1 : 0
            assert.equal(tally.okInARow, row)
            assert.equal(tally.everOk, before.everOk || row >= successes)
            assert.equal(tally.failedInARow, row >= successes ? 0 : before.failedInARow + (isOk ? 0 : 1))
          }
        },
      ),
    )
  })
})

describe('a prober of liveness', () => {
  it('is in no hurry, at the start neither, and never asks twice at once', async () => {
    const { turn, delays } = turned({ ...http(1), eager: false }, ['no', 'no', null, 'no', null])
    await turn(8)
    assert.ok((delays[0] ?? 0) >= 20 && (delays[0] ?? 9999) <= 5000)
    assert.ok(delays.slice(1).every((delay) => delay >= 4500 && delay <= 5500))
  })

  it('waits the same for the same random source', async () => {
    const one = turned({ ...http(1), eager: false }, [null])
    const other = turned({ ...http(1), eager: false }, [null])
    await one.turn(5)
    await other.turn(5)
    assert.deepEqual(one.delays, other.delays)
  })
})

describe('the forker', () => {
  const command = (...words: string[]) => ({
    program: '/bin/sh',
    words: ['-c', ...words],
    directory: tmpdir(),
    environment: { A: "it's\ntwo lines", PATH: process.env['PATH'] ?? '' },
  })

  it('hands over every word and variable as it is, runs many at once, and tells each its own end', async () => {
    const forker = new ShellForker(keepingLog())
    try {
      const same = await forker.run(command('[ "$A" = "$1" ]', 'sh', "it's\ntwo lines"), new Cut())
      assert.equal(same, 0)
      const codes = Array.from({ length: 40 }, (_, at) => at)
      assert.deepEqual(
        await Promise.all(codes.map((code) => forker.run(command(`exit ${code}`), new Cut()))),
        codes,
      )
    } finally {
      forker.close()
    }
  })

  it('asks again when its shell dies, and a new shell after that', async () => {
    const forker = new ShellForker(keepingLog())
    try {
      assert.equal(await forker.run(command('exit 3'), new Cut()), 3)
      const first = forker.pid
      assert.ok(first !== null)
      const slow = forker.run(command('sleep 0.2; exit 4'), new Cut())
      process.kill(first, 'SIGKILL')
      assert.equal(await slow, 4)
      assert.equal(await forker.run(command('exit 5'), new Cut()), 5)
      assert.notEqual(forker.pid, first)
    } finally {
      forker.close()
    }
  })
})

describe('probeSpecOf', () => {
  const { definition } = recordFor(['x'])
  it('asks whether all ports accept where there is no healthcheck', () => {
    const spec = probeSpecOf({ ...definition, ports: { b: 0, a: 0 } }, { a: 20_000, b: 20_001 })
    assert.deepEqual([spec?.kind, spec?.once], ['tcp', true])
    assert.deepEqual(spec?.kind === 'tcp' && spec.ports, [
      { name: 'a', number: 20_000 },
      { name: 'b', number: 20_001 },
    ])
    assert.equal(probeSpecOf(definition, {}), null)
  })
  it('takes the healthcheck with the number of its port', () => {
    const healthcheck = {
      kind: 'http',
      path: '/healthz',
      port: 'b',
      intervalMs: 100,
      timeoutMs: 50,
      retries: 3,
      startPeriodMs: 7,
    } as const
    assert.deepEqual(
      probeSpecOf({ ...definition, ports: { a: 0, b: 0 }, healthcheck }, { a: 20_000, b: 20_001 }),
      {
        kind: 'http',
        port: 20_001,
        path: '/healthz',
        intervalMs: 100,
        countEveryMs: 100,
        timeoutMs: 50,
        startPeriodMs: 7,
        successes: 1,
        eager: true,
        once: false,
      },
    )
  })
})

describe('real probes', () => {
  const forker = new ShellForker(keepingLog())
  after(() => {
    forker.close()
  })
  const ask = realProbe(systemClock, forker)
  const never = new Cut()
  const withServer = async (server: Server, use: (port: number) => Promise<void>): Promise<void> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    // A TCP server's address is one with a port.
    const { port } = server.address() as AddressInfo
    try {
      await use(port)
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  }

  it('takes 200 to 399 for healthy and tells other statuses', async () => {
    const server = createHttpServer((request, response) => {
      response.statusCode = Number(request.url?.slice(1, 4))
      response.end('x'.repeat(10_000))
    })
    await withServer(server, async (port) => {
      assert.equal(await ask(http(port, '/200'), place, never), null)
      assert.equal(await ask(http(port, '/399?full=1'), place, never), null)
      assert.equal(await ask(http(port, '/503'), place, never), 'GET /503: 503')
    })
  })

  it('tells refused connections, servers that close, and those that speak something else', async () => {
    let free = 0
    await withServer(createTcpServer(), async (port) => {
      free = port
      await Promise.resolve()
    })
    assert.equal(await ask(tcp(free), place, never), 'connect ECONNREFUSED')
    assert.equal(await ask(http(free), place, never), 'GET /: connect ECONNREFUSED')
    const closing = createTcpServer((socket) => socket.resume().end())
    await withServer(closing, async (port) => {
      assert.equal(await ask(tcp(port), place, never), null)
      assert.equal(await ask(http(port), place, never), 'GET /: closed without an answer')
    })
    const foreign = createTcpServer((socket) => socket.resume().end('220 mail ready\r\n'))
    await withServer(foreign, async (port) => {
      assert.equal(await ask(http(port), place, never), 'GET /: not HTTP')
    })
  })

  it('gives up at the timeout', async () => {
    const silent = createTcpServer((socket) => socket.resume())
    await withServer(silent, async (port) => {
      assert.equal(await ask({ ...http(port), timeoutMs: 30 }, place, never), 'GET /: timed out')
    })
  })

  it('runs a command and ends it, with what it started, at the timeout', async () => {
    const command = (words: readonly string[], timeoutMs = 5000): ProbeSpec => ({
      kind: 'command',
      command: words,
      ...times,
      timeoutMs,
    })
    assert.equal(await ask(command(['true']), place, never), null)
    assert.equal(await ask(command(['sh', '-c', 'exit 9']), place, never), 'sh: exit status 9')
    const missing = await ask(command(['no-such-probe']), place, never)
    assert.match(missing ?? '', /^command 'no-such-probe' is not on the PATH/)
    const nonce = recordFor([]).nonce
    const marked = { ...place, environment: { ...place.environment, TUTTI_NONCE: nonce } }
    const slow = command(['sh', '-c', 'sleep 600 & sleep 600'], 50)
    assert.equal(await ask(slow, marked, never), 'sh: timed out')
    await until(() => carriersOf(nonce).length === 0)
  })
})

describe('TALLY_EMPTY', () => {
  it('has seen nothing', () => {
    assert.deepEqual(TALLY_EMPTY, { okInARow: 0, failedInARow: 0, everOk: false, lastFailure: '' })
  })
})
