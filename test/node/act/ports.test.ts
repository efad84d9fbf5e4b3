// Ports of instances, with a check that the test scripts, and with real sockets where they matter.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import type { InstanceId } from '../../../lib/ids.ts'
import { checkPort, createPorts, PORT_FIRST, PORT_LAST } from '../../../node/act/ports.ts'

const [web, api] = ['shop/web/0@aaaa' as InstanceId, 'shop/api/0@bbbb' as InstanceId]
const allFree = async (): Promise<null> => await Promise.resolve(null)

describe('ports', () => {
  it('hands out free numbers of its range, none twice while it is held', async () => {
    const ports = createPorts('peer', allFree)
    const [first, second] = await Promise.all([
      ports.allocate(web, { http: 0, admin: 0 }, {}),
      ports.allocate(api, { http: 0 }, {}),
    ])
    const numbers = [...Object.values(first), ...Object.values(second)]
    assert.equal(new Set(numbers).size, 3)
    assert.ok(numbers.every((port) => port >= PORT_FIRST && port <= PORT_LAST))
    assert.deepEqual(Object.keys(first), ['admin', 'http'])
  })

  it('gives an instance the same numbers again, unless somebody has taken one', async () => {
    const taken = new Set<number>()
    const ports = createPorts(
      'peer',
      async (port) => await Promise.resolve(taken.has(port) ? 'EADDRINUSE' : null),
    )
    const before = await ports.allocate(web, { http: 0, admin: 0 }, {})
    ports.release(web)
    assert.deepEqual(await ports.allocate(web, { http: 0, admin: 0 }, before), before)
    taken.add(before['http'] ?? 0)
    const after = await ports.allocate(web, { http: 0, admin: 0 }, before)
    assert.equal(after['admin'], before['admin'])
    assert.notEqual(after['http'], before['http'])
  })

  it('starts elsewhere in the range for another peer of the same machine', async () => {
    const [a, b] = [createPorts('peer-a', allFree), createPorts('peer-b', allFree)]
    assert.notDeepEqual(await a.allocate(web, { http: 0 }, {}), await b.allocate(web, { http: 0 }, {}))
  })

  it('says who holds a fixed port, and holds nothing of a failed allocation', async () => {
    const ports = createPorts('peer', allFree)
    await ports.allocate(web, { http: 8080 }, {})
    await assert.rejects(ports.allocate(api, { rpc: 9000, http: 8080 }, {}), {
      code: 'conflict',
      message: `port 8080 ('http') is held by ${web} on this peer; a fixed port runs once a machine`,
    })
    ports.release(web)
    assert.deepEqual(await ports.allocate(api, { rpc: 9000, http: 8080 }, {}), { http: 8080, rpc: 9000 })
  })

  it('leaves ports of adopted instances alone', async () => {
    const ports = createPorts('peer', allFree)
    ports.hold(web, { http: 8080 })
    await assert.rejects(ports.allocate(api, { http: 8080 }, {}), { code: 'conflict' })
  })

  it('notices a stranger that listens, on whatever address', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(address !== null && typeof address === 'object')
    const ports = createPorts('peer')
    await assert.rejects(ports.allocate(web, { http: address.port }, {}), {
      message: /^port \d+ \('http'\) is in use on this machine; stop what listens on it or change the port$/,
    })
    await new Promise((resolve) => server.close(resolve))
    assert.equal(await checkPort(address.port), null)
  })

  it('says when there is none left', async () => {
    const ports = createPorts('peer', async () => await Promise.resolve('EADDRINUSE'))
    await assert.rejects(ports.allocate(web, { http: 0 }, {}), {
      message: /^no port from 20000 to 31999 is free/,
    })
  })
})
