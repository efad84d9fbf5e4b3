// Build duties through the API: given, settled together with what was released, shown, and taken back.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Compile } from 'typebox/compile'
import { SERVICE_DEFAULTS } from '../../../../crdt/schema/service-defaults.ts'
import { demandOf, DOCUMENT_FORMAT } from '../../../../crdt/schema/format.ts'
import { BuildDutiesReply } from '../../../../node/serve/api/contract.ts'
import { FakeAgent } from '../fake-agent.ts'
import { FakeApis } from '../fake-api.ts'

const apis = new FakeApis()
after(() => apis.close())

const DUTY = {
  repository: 'https://git.example.org/shop.git',
  branch: 'main',
  file: 'cell.yaml',
  everyMs: 10_000,
}
const SET = { kind: 'set-build-duty', name: 'shop', duty: DUTY }
const record = (letter: string, after: string | null, kind = 'released') => ({
  kind: 'record-build',
  name: 'shop',
  outcome: { commit: letter.repeat(40), version: 'v1', kind, message: 'first', output: [] },
  after: after === null ? null : after.repeat(40),
})
const apply = {
  kind: 'apply',
  cell: { name: 'shop', services: [{ ...SERVICE_DEFAULTS, name: 'web', command: ['x'] }] },
}

const world = async () => {
  const agent = new FakeAgent()
  const api = await apis.of(agent)
  const change = async (...operations: readonly object[]) => {
    const reply = await api.app.inject({ method: 'POST', url: '/v1/changes', payload: { operations } })
    return { status: reply.statusCode, body: reply.json() }
  }
  const duties = async (): Promise<BuildDutiesReply> => {
    const { body } = await api.app.inject({ method: 'GET', url: '/v1/build-duties' })
    const reply: unknown = JSON.parse(body)
    const shape = Compile(BuildDutiesReply)
    assert.ok(shape.Check(reply), body)
    return reply
  }
  return { agent, change, duties }
}

describe('build duties in the API', () => {
  it('are none at first, and then as they were given, with who would build', async () => {
    const { agent, change, duties } = await world()
    assert.deepEqual((await duties()).duties, [])
    assert.equal((await change(SET)).status, 200)
    const [duty] = (await duties()).duties
    assert.deepEqual(
      [duty?.name, duty?.steward, duty?.state, duty?.outcome],
      ['shop', null, 'hindered', null],
    )
    for (const [id, status] of agent.statuses) agent.statuses.set(id, { ...status, builder: { lack: '' } })
    const [able] = (await duties()).duties
    assert.equal(able?.state, 'watching')
    assert.ok(['oak', 'elm', 'ash'].includes(able?.steward ?? ''))
    const steward = agent.ids.find((_, seat) => ['oak', 'elm', 'ash'][seat] === able?.steward)
    assert.ok(steward !== undefined)
    const status = agent.statuses.get(steward)
    assert.ok(status !== undefined)
    const building = { phase: 'building' as const, commit: 'abc', since: 0, reason: '' }
    agent.statuses.set(steward, { ...status, builds: new Map([['shop', building]]) })
    const [busy] = (await duties()).duties
    assert.deepEqual([busy?.state, busy?.reason], ['building', 'abc'])
  })

  it('are settled by the change that applies, or not at all', async () => {
    const { agent, change, duties } = await world()
    await change(SET)
    assert.equal((await change(apply, record('a', null))).status, 200)
    assert.equal((await duties()).duties[0]?.outcome?.commit, 'a'.repeat(40))
    const digest = agent.view.digest
    const late = await change({ ...apply, cell: { ...apply.cell, services: [] } }, record('b', null))
    assert.deepEqual([late.status, late.body.error.code], [409, 'conflict'])
    assert.equal(agent.view.digest, digest)
    assert.equal((await change(record('b', 'a', 'failed'))).status, 200)
    assert.equal((await change({ kind: 'retry-build', name: 'shop' })).status, 200)
    assert.equal((await change({ kind: 'remove-build-duty', name: 'shop' })).status, 200)
    assert.deepEqual((await duties()).duties, [])
  })

  it('refuse what is no repository or branch', async () => {
    const { change } = await world()
    for (const duty of [
      { ...DUTY, repository: '--upload-pack=x' },
      { ...DUTY, branch: '../main' },
      { ...DUTY, everyMs: 1 },
    ])
      assert.equal((await change({ ...SET, duty })).status, 400)
  })

  it('are written only where every member reads them', () => {
    const demand = demandOf({ container: 'cells', key: 'build-duties/shop/duty', value: null })
    assert.ok(demand !== null && demand.format > 1 && demand.format <= DOCUMENT_FORMAT)
  })
})
