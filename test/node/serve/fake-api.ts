// APIs over fake agents, asked by fastify's inject: no socket, no token, nothing beside the agent that matters.

import assert from 'node:assert/strict'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { createApi, type Api } from '../../../node/serve/api/server.ts'
import { FakeExec, FakeOutput, type FakeAgent } from './fake-agent.ts'

type Options = Parameters<typeof createApi>[0]

export class FakeApis {
  readonly #apis: Api[] = []

  async of(agent: FakeAgent, more: Partial<Options> = {}): Promise<Api> {
    const api = await createApi({
      agent,
      output: new FakeOutput(),
      exec: new FakeExec(),
      preview: (edits) => agent.replica.preview(edits),
      join: () => Promise.reject(new Error('not here')),
      log: { log: () => undefined },
      token: null,
      version: '1.2.3',
      ...more,
    })
    this.#apis.push(api)
    return api
  }

  async close(): Promise<void> {
    for (const api of this.#apis) await api.close()
  }
}

/** Asserts that a reply is what the contract says. */
export const fits = (schema: TSchema, value: unknown): void => {
  const [error] = Compile(schema).Errors(value)
  assert.equal(error, undefined, JSON.stringify(error))
}
