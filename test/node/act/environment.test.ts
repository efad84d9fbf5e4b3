// The environment of an instance.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { instanceEnvironment, type EnvironmentSource } from '../../../node/act/environment.ts'
import { recordFor } from '../../contracts/driver.ts'

const { slot, service, release, definition } = recordFor(['x'])
const source: EnvironmentSource = {
  slot,
  service,
  release,
  definition,
  ports: {},
  peer: 'a',
  nonce: 'n',
  links: {},
  peerEnvironment: { PATH: '/peer/bin', HOME: '/home/peer', LANG: '', SECRET: 'of the peer' },
}

describe('instanceEnvironment', () => {
  it('lends a few variables of the peer and says who the instance is', () => {
    assert.deepEqual(instanceEnvironment(source), {
      PATH: '/peer/bin',
      HOME: '/home/peer',
      TUTTI_CELL: 'shop',
      TUTTI_SERVICE: 'web',
      TUTTI_SLOT: 'shop/web/0',
      TUTTI_RELEASE: release,
      TUTTI_PEER: 'a',
      TUTTI_NONCE: 'n',
    })
  })

  it('gives the first port as PORT and each by its name', () => {
    const ports = { 'my-admin': 20_001, http: 20_000 }
    const environment = instanceEnvironment({ ...source, ports, definition: { environment: {}, ports } })
    assert.equal(environment['PORT'], '20000')
    assert.equal(environment['PORT_HTTP'], '20000')
    assert.equal(environment['PORT_MY_ADMIN'], '20001')
  })

  it('lets the operator change the PATH, and nobody who the instance is', () => {
    const written = { PATH: '/opt/bin', TUTTI_SLOT: 'other/thing/9', TUTTI_NONCE: 'forged', LOG: 'debug' }
    const links = { TUTTI_USES_LEDGER: '127.0.0.1:1234' }
    const environment = instanceEnvironment({
      ...source,
      links,
      definition: { environment: written, ports: {} },
    })
    assert.equal(environment['PATH'], '/opt/bin')
    assert.equal(environment['LOG'], 'debug')
    assert.equal(environment['TUTTI_SLOT'], 'shop/web/0')
    assert.equal(environment['TUTTI_NONCE'], 'n')
    assert.equal(environment['TUTTI_USES_LEDGER'], '127.0.0.1:1234')
  })

  it('has a PATH even where the peer has none', () => {
    assert.match(instanceEnvironment({ ...source, peerEnvironment: {} })['PATH'] ?? '', /\/usr\/bin/)
  })
})
