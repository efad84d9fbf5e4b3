// The API's routes of what would be, through fastify's inject.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import * as contract from '../../../../node/serve/api/contract-simulate.ts'
import { FakeAgent, service } from '../fake-agent.ts'
import { FakeApis, fits } from '../fake-api.ts'

const apis = new FakeApis()
after(() => apis.close())

/** Three members of 8 GiB and 4 CPUs. */
const world = async () => {
  const agent = new FakeAgent()
  const api = await apis.of(agent)
  agent.apply('shop', [service('web', { replicas: 3 }), service('one')])
  const simulate = async (payload: object) => {
    const reply = await api.app.inject({ method: 'POST', url: '/v1/simulations', payload })
    return { status: reply.statusCode, body: reply.json<contract.SimulationReply>() }
  }
  return { agent, api, simulate }
}

const GIB = 2 ** 30

describe('POST /v1/simulations', () => {
  it('says of every machine whether it may be lost, and changes nothing', async () => {
    const { agent, simulate } = await world()
    const { digest } = agent.view
    const { status, body } = await simulate({})
    assert.equal(status, 200, JSON.stringify(body))
    fits(contract.SimulationReply, body)
    assert.equal(body.survivable, true)
    assert.deepEqual(
      body.losses.map(({ peer, survivable }) => [peer, survivable]),
      ['ash', 'elm', 'oak'].map((peer) => [peer, true]),
    )
    assert.equal(body.losses.filter(({ interrupted }) => interrupted.includes('shop/one')).length, 1)
    assert.deepEqual([body.slots, body.edits], [[], []])
    assert.equal(agent.view.digest, digest)
  })

  it('names what would not fit once a machine is lost, also after edits that are not made', async () => {
    const { agent, simulate } = await world()
    const apply = {
      kind: 'apply',
      cell: { name: 'fat', services: [service('mem', { replicas: 3, reservedMemoryBytes: 6 * GIB })] },
    }
    const { body } = await simulate({ operations: [apply] })
    assert.equal(body.slots.filter(({ kind }) => kind === 'start').length, 3)
    assert.deepEqual([body.survivable, body.outages], [false, []])
    assert.ok(
      body.losses.every(({ outages }) => outages.length === 1 && outages[0]?.slot.startsWith('fat/mem/')),
    )
    const more = await simulate({ operations: [apply], add: [{ cpusMilli: 4000, memoryBytes: 8 * GIB }] })
    assert.equal(more.body.survivable, true)
    assert.ok(more.body.slots.some(({ to }) => to === 'new-1') || more.body.losses.length >= 3)
    const killed = await simulate({ operations: [apply], kill: ['elm'], losses: false })
    assert.equal(killed.body.outages.length, 1)
    assert.deepEqual([killed.body.survivable, killed.body.losses], [null, []])
    assert.ok(!agent.view.services.some(({ cell }) => cell === 'fat'))
  })

  it('warns of the brake, drains, and refuses peers that are none', async () => {
    const { simulate } = await world()
    const { body } = await simulate({ kill: ['elm', 'ash'], losses: false })
    assert.ok(body.warnings.some((warning) => warning.startsWith('more than half of the peers are lost')))
    assert.ok(body.slots.every(({ to }) => to === 'oak'))
    const drained = await simulate({ drain: ['elm'], losses: false })
    assert.ok(drained.body.slots.length > 0 && drained.body.slots.every(({ from }) => from === 'elm'))
    const unknown = await simulate({ kill: ['elmm'] })
    assert.equal(unknown.status, 404)
    assert.match(JSON.stringify(unknown.body), /there is no peer 'elmm'; did you mean 'elm'/)
    assert.equal((await simulate({ kil: ['elm'] })).status, 400)
  })

  it('answers one at a time, with its turn for everybody else in between', async () => {
    const { api, simulate } = await world()
    const first = simulate({})
    const others = [simulate({}), api.app.inject({ method: 'GET', url: '/v1/peers' })] as const
    assert.equal((await others[1]).statusCode, 200)
    assert.equal((await others[0]).status, 503)
    assert.equal((await first).status, 200)
    assert.equal((await simulate({})).status, 200)
  })
})

describe('GET /v1/rebalance', () => {
  it('says what each holds, what is away from home, and what a removal would move', async () => {
    const { agent, api } = await world()
    const ask = async (): Promise<contract.RebalanceReply> =>
      (await api.app.inject({ method: 'GET', url: '/v1/rebalance' })).json()
    const whole = await ask()
    fits(contract.RebalanceReply, whole)
    assert.deepEqual([whole.away, whole.gone, whole.anew], [[], [], []])
    assert.equal(
      whole.peers.reduce((sum, { slots }) => sum + slots, 0),
      4,
    )
    agent.states.set(agent.id(1), 'left')
    const { away, gone } = await ask()
    assert.deepEqual(gone, ['elm'])
    assert.ok(away.length > 0 && away.every(({ home, reason }) => home === 'elm' && reason === 'has left'))
  })
})
