// Programs for services under test, as commands: an HTTP server that closes gracefully, and a caller that counts what
// fails. Plain JavaScript given to `node -e`, so that an instance needs no file.

import { execPath } from 'node:process'

/**
 * Answers every request with `VERSION SLOT PEER`. Healthy after `readyAfterMs`. At SIGTERM it takes no new connection,
 * answers what it has, and ends.
 */
export const webServer = (version: string, readyAfterMs = 0): readonly string[] => [
  execPath,
  '-e',
  `
  const { createServer } = require('node:http')
  const server = createServer((request, reply) => {
    reply.setHeader('connection', 'close')
    if (request.url === '/healthz' && performance.now() < ${readyAfterMs}) reply.statusCode = 503
    reply.end('${version} ' + process.env.TUTTI_SLOT + ' ' + process.env.TUTTI_PEER)
  })
  server.listen(Number(process.env.PORT), '0.0.0.0')
  process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections() })
  `,
]

/**
 * Calls the service at `TUTTI_USES_<NAME>` every few milliseconds, each time on a new connection, and answers on its own
 * port with `{ ok, failed, last, seen }`: counts, the last failure, and how often each version answered.
 */
export const linkCaller = (name: string): readonly string[] => [
  execPath,
  '-e',
  `
  const { createServer, get } = require('node:http')
  const [host, port] = process.env.TUTTI_USES_${name.toUpperCase()}.split(':')
  const counts = { ok: 0, failed: 0, last: '', seen: {} }
  const fail = (reason) => { counts.failed += 1; counts.last = String(reason) }
  const call = () => new Promise((done) => {
    const request = get({ host, port, path: '/', agent: false, timeout: 5000 }, (reply) => {
      let text = ''
      reply.on('data', (part) => (text += part))
      reply.on('error', (reason) => { fail(reason); done() })
      reply.on('end', () => {
        if (reply.statusCode !== 200) fail(reply.statusCode)
        else { counts.ok += 1; const version = text.split(' ')[0]; counts.seen[version] = (counts.seen[version] ?? 0) + 1 }
        done()
      })
    })
    request.on('timeout', () => request.destroy(new Error('timeout')))
    request.on('error', (reason) => { fail(reason); done() })
  })
  const loop = async () => { for (;;) { await call(); await new Promise((done) => setTimeout(done, 5)) } }
  let started = false
  createServer((request, reply) => {
    if (request.url === '/go' && !started) { started = true; loop() }
    reply.setHeader('connection', 'close')
    reply.end(JSON.stringify(counts))
  }).listen(Number(process.env.PORT), '0.0.0.0')
  `,
]
