// Routes that read what the cluster is: replies as the contract says, narrowed, and sentences about names that do not exist.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TSchema } from 'typebox'
import * as contract from '../../../../node/serve/api/contract.ts'
import { EventsReply } from '../../../../node/serve/api/contract-streams.ts'
import { VotersStanding } from '../../../../node/serve/api/contract-leases.ts'
import { fits } from '../fake-api.ts'
import { shopApi } from './shop-api.ts'

describe('reads', () => {
  it('answer as the contract says', async () => {
    const { get } = await shopApi()
    const routes: readonly (readonly [string, TSchema])[] = [
      ['/v1', contract.IndexReply],
      ['/v1/peers', contract.PeersReply],
      ['/v1/status', contract.StatusReply],
      ['/v1/status?service=shop/web', contract.StatusReply],
      ['/v1/services?cell=shop', contract.ServicesReply],
      ['/v1/cells', contract.CellsReply],
      ['/v1/instances?service=shop/web', contract.InstancesReply],
      ['/v1/placements?of=shop/web', contract.ExplainReply],
      ['/v1/placements?slot=shop/web/2', contract.ExplainReply],
      ['/v1/conflicts', contract.ConflictsReply],
      ['/v1/voters', VotersStanding],
      ['/v1/events', EventsReply],
      ['/healthz', contract.HealthReply],
    ]
    for (const [url, schema] of routes) {
      const { status, body } = await get(url)
      assert.equal(status, 200, `${url}: ${JSON.stringify(body)}`)
      fits(schema, body)
    }
  })

  it('narrow to what is asked for, and refuse names that do not exist', async () => {
    const { get } = await shopApi()
    const { body } = await get('/v1/status?service=shop/web')
    assert.deepEqual(
      body.cells.map(({ services }: { services: { name: string }[] }) => services.map(({ name }) => name)),
      [['web']],
    )
    const unknown = await get('/v1/status?service=shop/wbe')
    assert.equal(unknown.status, 404)
    assert.match(unknown.body.error.message, /there is no service 'shop\/wbe'; did you mean 'shop\/web'\?/)
    assert.equal((await get('/v1/services?cell=shp')).status, 404)
    const slot = await get('/v1/placements?slot=shop/web/7')
    assert.match(
      slot.body.error.message,
      /there is no slot 'shop\/web\/7'; the slots of shop\/web: shop\/web\/0 to shop\/web\/2/,
    )
    assert.equal((await get('/v1/placements')).status, 400)
    assert.equal((await get('/v1/placements?of=shop/web&slot=shop/web/1')).status, 400)
  })

  it('explain a slot with every member as a candidate', async () => {
    const { get } = await shopApi()
    const { body } = await get('/v1/placements?of=shop/web/1')
    const [slot] = body.slots
    assert.equal(body.slots.length, 1)
    assert.deepEqual(
      slot.candidates.map(({ rank }: { rank: number }) => rank),
      [1, 2, 3],
    )
    assert.ok(['oak', 'elm', 'ash'].includes(slot.peer))
    assert.ok(slot.changes.length > 0)
  })

  it('refuse fields of the query that they do not know', async () => {
    const { get } = await shopApi()
    const { status, body } = await get('/v1/instances?servce=shop/web')
    assert.equal(status, 400)
    assert.equal(body.error.message, "unknown field 'servce'; did you mean 'service'?")
  })
})
