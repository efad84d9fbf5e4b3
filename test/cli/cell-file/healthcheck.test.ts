// `healthcheck` and `liveness` of a cell file: what they ask, and what is wrong with them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellDirectory, web } from './cell-directory.ts'

const { service, itSays } = cellDirectory()

describe('probes in a cell file', () => {
  const probes: readonly (readonly [string, object | null])[] = [
    ['{ test: [CMD, curl, -f, x] }', { kind: 'command', command: ['curl', '-f', 'x'] }],
    ['{ test: [CMD-SHELL, "a || b"] }', { kind: 'command', command: ['/bin/sh', '-c', 'a || b'] }],
    ['{ test: "a || b" }', { kind: 'command', command: ['/bin/sh', '-c', 'a || b'] }],
    ['{ tcp: http }', { kind: 'tcp', port: 'http' }],
    ['{ tcp: true }', { kind: 'tcp' }],
    ['{ tcp: 8080 }', { kind: 'tcp', port: 'http' }],
    ['{ http: /h, port: http }', { kind: 'http', path: '/h', port: 'http' }],
    ['{ test: [NONE] }', { kind: 'none' }],
    ['{ disable: true }', { kind: 'none' }],
  ]
  for (const [text, wanted] of probes) {
    it(`reads healthcheck: ${text}`, () => {
      const found = service(`ports: [http: 8080]\nhealthcheck: ${text}`).healthcheck
      const rest = { intervalMs: 5000, timeoutMs: 2000, retries: 3, startPeriodMs: 0 }
      assert.deepEqual(found, { ...wanted, ...rest })
    })
  }

  it('reads a liveness that is disabled as none', () => {
    assert.equal(service('liveness: { disable: true }').liveness, null)
  })

  itSays([
    [
      web('healthcheck: { http: /h }'),
      ['5:20: services.web.healthcheck.http needs a port to ask; add ports: [http] to the service'],
    ],
    [
      web('liveness: { test: x }\n    restart: no'),
      [
        '5:5: services.web.liveness restarts what hangs, and the service is not to be restarted; remove one of the two',
      ],
    ],
    [
      web('healthcheck: { interval: 1s }'),
      ['5:5: services.web.healthcheck needs exactly one of http, tcp and test'],
    ],
    [
      web('healthcheck: { test: [curl, x] }'),
      [
        '5:20: services.web.healthcheck.test must be a string, [CMD, program, …], [CMD-SHELL, "line"] or [NONE]',
      ],
    ],
    [
      web('healthcheck: { test: "http://localhost:8080/healthz?full" }'),
      [
        '5:20: services.web.healthcheck.test is a command, and a URL is none; write http: /healthz?full to have the peer ask the service',
      ],
    ],
    [
      web('healthcheck: { test: x, interval: 5 }'),
      [
        "5:39: services.web.healthcheck.interval: '5' is not a duration; write for example 500ms, 5s, 1m or 2h",
      ],
    ],
    [
      web('healthcheck: { test: x, interval: 1ms }'),
      ['5:29: services.web.healthcheck.interval must be at least 100ms'],
    ],
  ])
})
