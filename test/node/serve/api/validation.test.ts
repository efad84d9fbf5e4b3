// The words and the strictness of request validation.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { guardFor, nearestName } from '../../../../node/serve/api/validation.ts'
import { ChangeRequest, InviteRequest } from '../../../../node/serve/api/contract.ts'
import { LogsQuery } from '../../../../node/serve/api/contract-queries.ts'
import { SERVICE_DEFAULTS } from '../../../../crdt/schema/service-defaults.ts'

const body = guardFor(ChangeRequest, 'body')
const sentence = (result: ReturnType<typeof body>): string => {
  assert.ok('error' in result, 'refused')
  assert.equal(result.error.code, 'invalid')
  return result.error.message
}
const one = (operation: unknown) => sentence(body({ operations: [operation] }))
const service = { ...SERVICE_DEFAULTS, name: 'web', command: ['node', 'x.js'] }

describe('guard of a body', () => {
  it('accepts what the contract describes', () => {
    assert.ok(
      'value' in body({ operations: [{ kind: 'apply', cell: { name: 'shop', services: [service] } }] }),
    )
    assert.ok(
      'value' in body({ operations: [{ kind: 'scale', service: 'shop/web', replicas: 3 }], dry: true }),
    )
  })

  it('names an unknown field and the nearest known one', () => {
    assert.match(
      sentence(body({ operation: [], operations: [{}] })),
      /unknown field 'operation'; did you mean 'operations'\?/,
    )
    assert.equal(
      one({ kind: 'scale', service: 'a/b', replicas: 1, replica: 3 }),
      "unknown field 'replica' in 'operations[0]'; did you mean 'replicas'?",
    )
    assert.equal(
      one({ kind: 'apply', cell: { name: 'shop', services: [{ ...service, stopGrace: 1 }] } }),
      "unknown field 'stopGrace' in 'operations[0].cell.services[0]'; did you mean 'stopGraceMs'?",
    )
  })

  it('coerces nothing', () => {
    assert.equal(
      one({ kind: 'scale', service: 'a/b', replicas: '3' }),
      "'operations[0].replicas' must be an integer, not string",
    )
    assert.match(
      sentence(guardFor(InviteRequest, 'body')({ uses: 1.5 })),
      /'uses' must be an integer, not number/,
    )
    assert.match(
      sentence(body({ operations: [{ kind: 'stop', service: 'a/b' }], dry: 'true' })),
      /must be a boolean/,
    )
  })

  it('explains the branch of a union that was meant', () => {
    assert.equal(one({ kind: 'scale', service: 'a/b' }), "'replicas' is missing in 'operations[0]'")
    assert.match(
      one({ kind: 'scalee', service: 'a/b' }),
      /'operations\[0\]\.kind' must be one of .*did you mean 'scale'\?/,
    )
    assert.match(one('scale'), /must be an object, not string/)
  })

  it('explains ranges, forms and nullable fields', () => {
    assert.match(one({ kind: 'scale', service: 'a/b', replicas: 5000 }), /must be at most 2000/)
    assert.match(
      one({ kind: 'stop', service: 'nope' }),
      /'operations\[0\]\.service' is not in the expected form/,
    )
    assert.match(sentence(body({ operations: [] })), /needs at least 1 entry/)
    assert.match(
      one({ kind: 'apply', cell: { name: 'a', services: [{ ...service, replicas: '2' }] } }),
      /replicas' must be an integer, not string/,
    )
  })

  it('refuses keys of a record that fit no pattern of it', () => {
    assert.match(
      one({ kind: 'apply', cell: { name: 'a', services: [{ ...service, ports: { 'Not A Name': 0 } }] } }),
      /'Not A Name' is not an allowed name in 'operations\[0\]\.cell\.services\[0\]\.ports'/,
    )
    assert.match(
      one({ kind: 'apply', cell: { name: 'a', services: [{ ...service, environment: { '1A': 'x' } }] } }),
      /'1A' is not an allowed name/,
    )
  })

  it('does not take inherited members for known fields', () => {
    assert.match(
      sentence(body(JSON.parse('{"operations":[{"kind":"stop","service":"a/b"}],"constructor":1}'))),
      /unknown field 'constructor'/,
    )
  })

  it('refuses a body that is missing', () => {
    assert.equal(sentence(body(null)), 'the request must be an object, not null')
  })
})

describe('guard of a query', () => {
  const query = guardFor(LogsQuery, 'querystring')

  it('reads numbers and switches from text', () => {
    assert.deepEqual(query({ of: 'a/b', tail: '5', follow: '', since: '12' }), {
      value: { of: 'a/b', tail: 5, follow: true, since: 12 },
    })
  })

  it('refuses what does not read as its type, and fields it does not know', () => {
    assert.equal(sentence(query({ of: 'a/b', tail: 'x' })), "'tail' must be an integer, not string")
    assert.equal(sentence(query({ of: 'a/b', tial: '1' })), "unknown field 'tial'; did you mean 'tail'?")
    assert.match(sentence(query({ of: ['a', 'b'] })), /'of' must be a string, not array/)
  })
})

describe('nearestName', () => {
  it('suggests only what is near', () => {
    assert.equal(nearestName('wbe', ['web', 'api']), 'web')
    assert.equal(nearestName('payments', ['web', 'api']), null)
    assert.equal(nearestName('x', []), null)
  })
})
