// Routes about the API and the process themselves: readiness, metrics, the OpenAPI document.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as contract from '../../../../node/serve/api/contract.ts'
import { PACKAGE_ROUTES } from '../../../../node/serve/api/contract-packages.ts'
import { shopApi } from './shop-api.ts'

describe('GET /readyz', () => {
  it('says why not', async () => {
    let reason: string | null = 'catching up with the cluster'
    const { get } = await shopApi({ ready: () => reason })
    const { status, body } = await get('/readyz')
    assert.deepEqual({ status, message: body.error.message }, { status: 503, message: reason })
    reason = null
    assert.deepEqual(await get('/readyz').then(({ body }) => body), { ok: true, reason: '' })
  })
})

describe('GET /metrics', () => {
  it('gives the text it was built with, and says so when there is none', async () => {
    const { api } = await shopApi({
      metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
    })
    const reply = await api.app.inject('/metrics')
    assert.deepEqual([reply.statusCode, reply.body], [200, 'up 1\n'])
    assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4')
    assert.equal((await (await shopApi()).get('/metrics')).status, 501)
  })
})

interface Route {
  readonly summary?: string
  readonly description?: string
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: object }>>
}

interface Described {
  readonly path: string
  readonly method: string
  readonly route: Route
}

const describedIn = (paths: Readonly<Record<string, Record<string, Route>>>): readonly Described[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, route]) => ({ path, method, route })),
  )

const assertTold = ({ path, method, route }: Described): void => {
  assert.ok(route.summary !== undefined && route.summary !== '', path)
  assert.ok(route.description !== undefined && route.description !== '', path)
  const ok = route.responses?.['200']
  assert.ok(Object.keys(ok?.content ?? {}).length > 0, `${method} ${path} has a reply`)
  for (const response of Object.values(route.responses ?? {})) assert.ok((response.description ?? '') !== '')
  assert.ok(route.responses?.['4XX'] !== undefined && route.responses['5XX'] !== undefined, path)
}

describe('OpenAPI document', () => {
  it('describes every route, with its replies', async () => {
    const { get, api } = await shopApi()
    const { body } = await get('/v1/openapi.json')
    assert.equal(body.openapi, '3.1.0')
    const described = describedIn(body.paths)
    for (const one of described) assertTold(one)
    const paths = described.map(({ path }) => path)
    for (const path of Object.values({ ...contract.ROUTES, ...PACKAGE_ROUTES }))
      assert.ok(paths.includes(path), path)
    for (const path of ['/v1', '/v1/openapi.json', '/metrics', '/healthz', '/readyz'])
      assert.ok(paths.includes(path), path)
    for (const { path, method } of described) {
      const url = path.replaceAll(/\{(\w+)\}/g, ':$1')
      assert.ok(api.app.hasRoute({ url, method: method === 'post' ? 'POST' : 'GET' }), `${method} ${path}`)
    }
  })

  it('names what a route takes in its query, and the forms of what it takes and gives', async () => {
    const { get } = await shopApi()
    const { body } = await get('/v1/openapi.json')
    const logs = body.paths['/v1/logs'].get
    const parameters = logs.parameters.map(
      ({ name, in: where }: { name: string; in: string }) => `${where} ${name}`,
    )
    const names = 'of service slot tail since until stream grep follow resume'.split(' ')
    assert.deepEqual(
      parameters,
      names.map((name) => `query ${name}`),
    )
    assert.ok('application/x-ndjson' in logs.responses['200'].content)
    assert.ok('text/event-stream' in body.paths['/v1/watch'].get.responses['200'].content)
    assert.ok('application/json' in body.paths['/v1/changes'].post.requestBody.content)
  })

  it('is valid as far as its own references and required members go', async () => {
    const { get } = await shopApi()
    const text = JSON.stringify((await get('/v1/openapi.json')).body)
    const document = JSON.parse(text)
    for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = (reference ?? '').split('/').reduce((value, key) => value?.[key], document)
      assert.ok(found !== undefined, reference)
    }
    assert.ok(typeof document.info.title === 'string' && document.info.version === '1.2.3')
  })
})
