// Routes that change the cluster: changes, voters, invitations, joining.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as contract from '../../../../node/serve/api/contract.ts'
import { VotersReplaced } from '../../../../node/serve/api/contract-leases.ts'
import { service, WALL } from '../fake-agent.ts'
import { fits } from '../fake-api.ts'
import { shopApi } from './shop-api.ts'

describe('POST /v1/changes', () => {
  it('makes one atomic change of all operations, each on top of the ones before', async () => {
    const { agent, post } = await shopApi()
    const { status, body } = await post('/v1/changes', {
      operations: [
        { kind: 'apply', cell: { name: 'blog', services: [service('site')] } },
        { kind: 'scale', service: 'blog/site', replicas: 2 },
        { kind: 'cordon', peer: 'elm' },
        { kind: 'drain', peer: agent.id(2) },
      ],
    })
    assert.equal(status, 200, JSON.stringify(body))
    fits(contract.ChangeReply, body)
    assert.equal(agent.metas.length, 1)
    assert.match(agent.metas[0]?.message ?? '', /^apply blog, scale blog\/site=2, cordon elm, drain 12D3KooW/)
    const site = agent.view.services.find(({ id }) => id === 'blog/site')
    assert.equal(site?.replicas, 2)
    assert.equal(agent.view.members.find(({ name }) => name === 'elm')?.cordoned, true)
    assert.equal(agent.view.members.find(({ name }) => name === 'ash')?.draining, true)
    assert.match(body.change, /^[0-9a-f]{64}$/)
    assert.equal(body.digest, agent.view.digest)
    assert.equal(body.slots.filter(({ kind }: { kind: string }) => kind === 'start').length, 2)
  })

  it('only tells what it would do, when dry', async () => {
    const { agent, post } = await shopApi()
    const { digest } = agent.view
    const { body } = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: 5 }],
      dry: true,
    })
    assert.equal(body.change, null)
    assert.equal(agent.metas.length, 0)
    assert.equal(agent.view.digest, digest)
    assert.deepEqual(body.edits, [{ path: 'shop/web replicas', from: '3', to: '5' }])
    assert.deepEqual(
      body.slots.map(({ slot }: { slot: string }) => slot),
      ['shop/web/3', 'shop/web/4'],
    )
  })

  it('writes nothing when nothing would change', async () => {
    const { post } = await shopApi()
    const { status, body } = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: 3 }],
    })
    assert.equal(status, 200)
    assert.deepEqual(
      { change: body.change, edits: body.edits, slots: body.slots },
      { change: null, edits: [], slots: [] },
    )
  })

  it('changes nothing when one of several operations is refused', async () => {
    const { agent, post } = await shopApi()
    const { status, body } = await post('/v1/changes', {
      operations: [
        { kind: 'stop', service: 'shop/web' },
        { kind: 'stop', service: 'shop/nope' },
      ],
    })
    assert.equal(status, 404)
    assert.equal(body.error.code, 'unknown')
    assert.equal(agent.metas.length, 0)
  })

  it('gives each restart a release of its own', async () => {
    const { agent, post } = await shopApi()
    const releases = new Set<string>()
    for (let round = 0; round < 3; round += 1) {
      await post('/v1/changes', { operations: [{ kind: 'restart', service: 'shop/web' }] })
      releases.add(agent.view.services.find(({ id }) => id === 'shop/web')?.release ?? '')
    }
    assert.equal(releases.size, 3)
  })

  it('keeps the message that the operator gives', async () => {
    const { agent, post } = await shopApi()
    await post('/v1/changes', { operations: [{ kind: 'remove-cell', cell: 'shop' }], message: 'the end' })
    assert.deepEqual(agent.metas, [{ message: 'the end', at: WALL }])
    assert.equal(agent.view.services.length, 0)
  })

  it('drops and coerces nothing', async () => {
    const { agent, post } = await shopApi()
    const typo = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: 1, replica: 2 }],
    })
    assert.equal(typo.status, 400)
    assert.match(typo.body.error.message, /unknown field 'replica' .*did you mean 'replicas'/)
    const text = await post('/v1/changes', {
      operations: [{ kind: 'scale', service: 'shop/web', replicas: '1' }],
    })
    assert.equal(text.body.error.code, 'invalid')
    assert.equal(agent.metas.length, 0)
  })
})

describe('POST /v1/voters', () => {
  it('names those who vote from now on, and writes down that an operator did it', async () => {
    const { post, agent } = await shopApi()
    const { status, body } = await post('/v1/voters', {})
    assert.equal(status, 200)
    fits(VotersReplaced, body)
    assert.match(agent.events().at(-1)?.message ?? '', /made .* the voters on leases/)
  })
})

describe('POST /v1/invites and /v1/join', () => {
  it('mint a ticket with stated defaults', async () => {
    const { post } = await shopApi()
    const { status, body } = await post('/v1/invites', {})
    assert.equal(status, 200)
    assert.deepEqual({ uses: body.uses, expiresAt: body.expiresAt }, { uses: 1, expiresAt: WALL + 3_600_000 })
    assert.equal((await post('/v1/invites', { uses: 0 })).status, 400)
  })

  it('join through what the peer was built with', async () => {
    const { post } = await shopApi()
    assert.deepEqual((await post('/v1/join', { ticket: 'tutti1-x', name: 'fir' })).body, {
      cluster: 'c',
      id: 'i',
      name: 'fir',
      members: 3,
    })
  })
})
