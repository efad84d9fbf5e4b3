// The API of a peer in a cluster that runs one cell, shop, through fastify's inject; what the tests of its routes ask. It is
// closed after the tests of the importing file.

import { after } from 'node:test'
import type { LogLevel } from '../../../../lib/log.ts'
import { FakeAgent, FakeOutput, service } from '../fake-agent.ts'
import { FakeApis } from '../fake-api.ts'

const apis = new FakeApis()
after(async () => {
  await apis.close()
})

interface Logged {
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A cluster of three peers with one cell, shop, behind an API that is asked without a socket. */
export const shopApi = async (more: Parameters<FakeApis['of']>[1] = {}) => {
  const agent = new FakeAgent()
  const output = new FakeOutput()
  const logged: Logged[] = []
  const api = await apis.of(agent, {
    output,
    join: ({ name }) => Promise.resolve({ cluster: 'c', id: 'i', name: name ?? 'oak', members: 3 }),
    log: { log: (level, message, fields = {}) => logged.push({ level, message, fields }) },
    ...more,
  })
  agent.apply('shop', [service('web', { replicas: 3 }), service('api', { replicas: 1 })])
  for (const [seat, name] of ['oak', 'elm', 'ash'].entries()) agent.say(seat, name, {})
  const get = async (url: string, headers: Readonly<Record<string, string>> = {}) => {
    const reply = await api.app.inject({ method: 'GET', url, headers })
    return { status: reply.statusCode, body: reply.json(), headers: reply.headers }
  }
  const post = async (
    url: string,
    payload: object | string,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const reply = await api.app.inject({ method: 'POST', url, payload, headers })
    return { status: reply.statusCode, body: reply.json(), headers: reply.headers }
  }
  return { agent, output, api, get, post, logged }
}
