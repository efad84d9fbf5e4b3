// Errors of the API: a status for each code, a sentence for each request that is none, and nothing of what is inside.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AssertionError } from '../../../../lib/assert.ts'
import { ERROR_CODES, TuttiError } from '../../../../lib/errors.ts'
import { HTTP_STATUSES } from '../../../../node/serve/api/statuses.ts'
import { shopApi } from './shop-api.ts'

describe('errors', () => {
  it('have a status for every code, and never a stack', async () => {
    const { agent, post, logged } = await shopApi()
    for (const code of Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]) {
      if (code === 'internal') continue
      agent.editFailure = new TuttiError(code, 'told so')
      const { status, body, headers } = await post('/v1/changes', {
        operations: [{ kind: 'stop', service: 'shop/web' }],
      })
      assert.equal(status, HTTP_STATUSES[code])
      assert.deepEqual(body.error, { code, message: 'told so', requestId: headers['x-request-id'] })
    }
    assert.ok(logged.some(({ level, message }) => level === 'warn' && message === 'request failed'))
  })

  it('keep the words of a bug to the log, under the request id', async () => {
    for (const bug of [new AssertionError('assertion failed: hush'), new TypeError('hush')]) {
      const { agent, post, logged } = await shopApi()
      agent.editFailure = bug
      const { status, body } = await post('/v1/changes', {
        operations: [{ kind: 'stop', service: 'shop/web' }],
      })
      assert.equal(status, 500)
      assert.equal(body.error.code, 'internal')
      assert.doesNotMatch(JSON.stringify(body), /hush|at /)
      const entry = logged.find(({ level }) => level === 'error')
      assert.equal(entry?.fields['error'], bug)
      assert.equal(entry?.fields['requestId'], body.error.requestId)
    }
  })

  it('say what is wrong with a request that is none', async () => {
    const { post, get } = await shopApi()
    const json = { 'content-type': 'application/json' }
    assert.match((await post('/v1/changes', '{"a":', json)).body.error.message, /not valid JSON/)
    assert.match((await post('/v1/changes', '', json)).body.error.message, /empty/)
    assert.match(
      (await post('/v1/changes', 'a=1', { 'content-type': 'text/x' })).body.error.message,
      /must be JSON/,
    )
    assert.match(
      (await post('/v1/changes', '{"__proto__": {}}', json)).body.error.message,
      /not valid JSON|unknown field/,
    )
    const large = await post('/v1/changes', JSON.stringify({ message: 'x'.repeat(3_000_000) }), json)
    assert.deepEqual(
      { status: large.status, code: large.body.error.code },
      { status: 413, code: 'too-large' },
    )
    const path = await get('/v1/peer')
    assert.deepEqual(
      { status: path.status, message: path.body.error.message },
      { status: 404, message: "there is no /v1/peer; did you mean '/v1/peers'?" },
    )
    const method = await post('/v1/peers', {})
    assert.match(method.body.error.message, /\/v1\/peers takes no POST/)
  })

  it('use no request id of the caller', async () => {
    const { get } = await shopApi()
    const { headers } = await get('/v1/peers', { 'request-id': 'forged', 'x-request-id': 'forged' })
    assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/)
  })
})
