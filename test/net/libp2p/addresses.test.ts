import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MemberId } from '../../../lib/ids.ts'
import {
  addressFor,
  announcedAddresses,
  hostOfAddress,
  hostPortOf,
  memberOfAddress,
} from '../../../net/libp2p/addresses.ts'

const ADA = '12D3KooWAda' as MemberId
const BOB = '12D3KooWBob' as MemberId

describe('addresses', () => {
  it('finds host and port of TCP over IP or DNS, and of nothing else', () => {
    assert.deepEqual(hostPortOf('/ip4/10.0.0.1/tcp/4100'), { host: '10.0.0.1', port: 4100 })
    assert.deepEqual(hostPortOf(`/ip6/::1/tcp/1/p2p/${ADA}`), { host: '::1', port: 1 })
    assert.equal(hostOfAddress('/dns4/node.example/tcp/4100'), 'node.example')
    for (const bad of [
      '',
      '10.0.0.1:4100',
      '/ip4/10.0.0.300/tcp/1',
      '/ip4/10.0.0.1/udp/1',
      '/ip4/10.0.0.1/tcp/x',
      '/ip4/1.2.3.4/tcp/70000',
      '/unix/a/tcp/1',
    ])
      assert.equal(hostPortOf(bad), null, bad)
  })

  it('reads the member out of an address', () => {
    assert.equal(memberOfAddress(`/ip4/10.0.0.1/tcp/1/p2p/${ADA}`), ADA)
    assert.equal(memberOfAddress('/ip4/10.0.0.1/tcp/1'), null)
  })

  it('makes every address name the member that is dialled, or drops it', () => {
    assert.equal(addressFor(ADA, '/ip4/10.0.0.1/tcp/1'), `/ip4/10.0.0.1/tcp/1/p2p/${ADA}`)
    assert.equal(addressFor(ADA, `/ip4/10.0.0.1/tcp/1/p2p/${ADA}`), `/ip4/10.0.0.1/tcp/1/p2p/${ADA}`)
    assert.equal(addressFor(ADA, `/ip4/10.0.0.1/tcp/1/p2p/${BOB}`), null)
    assert.equal(addressFor(ADA, 'elsewhere'), null)
  })

  it('announces what others can reach, IPv4 first, and loopback only when there is nothing else', () => {
    const loopback = ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1']
    const local = ['/ip6/fe80::1/tcp/1', '/ip4/169.254.3.3/tcp/1']
    assert.deepEqual(announcedAddresses([...loopback, ...local]), loopback)
    assert.deepEqual(
      announcedAddresses([
        ...loopback,
        ...local,
        '/ip6/fd00::1/tcp/1',
        '/ip4/10.0.0.1/tcp/1',
        '/ip4/10.0.0.1/tcp/1',
      ]),
      ['/ip4/10.0.0.1/tcp/1', '/ip6/fd00::1/tcp/1'],
    )
  })
})
