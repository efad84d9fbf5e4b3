// What the shop's three services share: an HTTP server on PORT, /healthz, one log line per request, a graceful end, and a
// way to call the services named under `uses`. Plain Node.js 18 or newer, no dependencies.

import { createServer } from 'node:http'

const slot = process.env.TUTTI_SLOT ?? 'shop/local/0'
const peer = process.env.TUTTI_PEER ?? 'no peer'

/** Who answers: shown on the page, so that one sees the replicas take turns. */
export const self = { slot, peer, release: process.env.TUTTI_RELEASE ?? '' }

export const log = (message) => console.log(`${new Date().toISOString()} ${slot} ${message}`)

/** Asks another service of the shop for JSON. Its address is in the environment; one second is patience enough. */
export const ask = async (service, path, init = {}) => {
  const address = process.env[`TUTTI_USES_${service.toUpperCase().replaceAll('-', '_')}`]
  if (address === undefined) throw new Error(`no address for ${service}; is it named under uses?`)
  const reply = await fetch(`http://${address}${path}`, { ...init, signal: AbortSignal.timeout(1000) })
  if (!reply.ok) throw new Error(`${service} answered ${reply.status}`)
  return reply.json()
}

export const json = (response, value, status = 200) => {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
  response.end(`${JSON.stringify(value)}\n`)
}

/** Serves until SIGTERM: then it takes no new connections, finishes what it has, and exits with 0. */
export const serve = (name, answer) => {
  let isEnding = false
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://shop.local')
    if (isEnding) response.setHeader('connection', 'close')
    if (url.pathname === '/healthz') return json(response, { ok: !isEnding, ...self }, isEnding ? 503 : 200)
    const start = performance.now()
    response.on('finish', () => {
      const took = (performance.now() - start).toFixed(1)
      log(`${request.method} ${url.pathname} ${response.statusCode} ${took}ms`)
    })
    Promise.resolve(answer(request, response, url)).catch((error) => {
      log(`failed: ${error.message}`)
      if (response.headersSent) response.destroy()
      else json(response, { error: error.message }, 502)
    })
  })
  const end = (signal) => {
    if (isEnding) return
    isEnding = true
    log(`${signal}: finishing what is open`)
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  server.listen(Number(process.env.PORT ?? 8080), () =>
    log(`${name} listens on ${server.address().port} on ${peer}`),
  )
}
