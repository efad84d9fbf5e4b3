// From a request to edits: every operation on top of what the ones before it leave, at no more cost than that takes.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Operation } from '../../../../node/serve/api/contract.ts'
import { prepareChange } from '../../../../node/serve/api/changes.ts'
import { FakeAgent, service } from '../fake-agent.ts'

const listed = (ref: string, letter: string): Operation => ({
  kind: 'put-package',
  ref,
  digest: letter.repeat(64),
  bytes: 1,
  files: 1,
})

const world = () => {
  const agent = new FakeAgent()
  let previews = 0
  const prepare = (...operations: readonly Operation[]) =>
    prepareChange(
      agent.snapshot(),
      { operations: [...operations] },
      {
        preview: (edits) => {
          previews += 1
          return agent.replica.preview(edits)
        },
        token: randomUUID,
        past: agent.past,
      },
    )
  return { agent, prepare, previews: () => previews }
}

describe('prepareChange', () => {
  it('lists the packages of a release and applies the cell that runs from them', () => {
    const { agent, prepare, previews } = world()
    const names = Array.from({ length: 50 }, (_, at) => `s${at}`)
    const services = names.map((name) => service(name, { package: `shop-${name}@v1` }))
    const { edits } = prepare(...names.map((name) => listed(`shop-${name}@v1`, 'a')), {
      kind: 'apply',
      cell: { name: 'shop', services },
    })
    agent.write(edits)
    assert.equal(agent.view.packages?.length, 50)
    assert.ok(
      agent.view.services.every(({ name, package: pin }) => pin === `shop-${name}@v1#${'a'.repeat(64)}`),
    )
    assert.ok(previews() <= 2, `${previews()} previews`)
  })

  it('sees an earlier package of the same name, and refuses another content for a version', () => {
    const { prepare } = world()
    assert.throws(() => prepare(listed('a@1', 'a'), listed('b@1', 'b'), listed('a@1', 'c')), {
      code: 'conflict',
    })
  })
})
