// `ports` of a cell file, in each of its spellings.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellDirectory, web } from './cell-directory.ts'

const { service, itSays } = cellDirectory()

describe('ports in a cell file', () => {
  const ports: readonly (readonly [string, Record<string, number>])[] = [
    ['[http, grpc]', { http: 0, grpc: 0 }],
    ['[http: 8080]', { http: 8080 }],
    ['{ http: 8080, admin: }', { http: 8080, admin: 0 }],
    ['["http: 8080"]', { http: 8080 }],
    ['["8080:80", "9090:90"]', { http: 8080, p9090: 9090 }],
    ['[8080]', { http: 8080 }],
    ['["127.0.0.1:8080:80/tcp"]', { http: 8080 }],
    ['[{ target: 80, published: "8080", name: web }]', { web: 8080 }],
    ['[{ target: 80 }]', { http: 80 }],
  ]
  for (const [text, wanted] of ports) {
    it(`reads ports: ${text}`, () => assert.deepEqual(service(`ports: ${text}`).ports, wanted))
  }

  itSays([
    [web('ports: [70000]'), ['5:13: services.web.ports: 70000 is not a port; the highest is 65535']],
    [
      web('ports: ["53:53/udp"]'),
      ["5:13: services.web.ports: '53:53/udp' is UDP, and only TCP ports are offered; remove it"],
    ],
    [
      web('ports: ["8000-8010:80"]'),
      ['5:13: services.web.ports: \'8000-8010:80\' is not a port; write a name, "http: 8080" or "8080:80"'],
    ],
    [web('ports: [a, a]'), ['5:16: services.web.ports: port a is named twice; give each a name of its own']],
  ])
})
