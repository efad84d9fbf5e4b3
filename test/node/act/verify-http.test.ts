import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { describe, it } from 'node:test'
import { verifyHttp } from '../../../node/act/verify-http.ts'

const serving = async (statuses: readonly number[], use: (url: string) => Promise<void>): Promise<void> => {
  let asked = 0
  const server: Server = createServer((_request, reply) => {
    reply.statusCode = statuses[Math.min(asked, statuses.length - 1)] ?? 500
    asked += 1
    reply.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  try {
    await use(`http://127.0.0.1:${address.port}/buy`)
  } finally {
    server.close()
  }
}

describe('verifyHttp', () => {
  it('is content with a good status, also at a later try', async () => {
    await serving([503, 204], async (url) => assert.equal(await verifyHttp(url, 30_000), null))
  })

  it('says what it was answered last when the time is over', async () => {
    await serving([500], async (url) => assert.equal(await verifyHttp(url, 200), 'status 500'))
  })

  it('says why nobody answers', async () => {
    let url = ''
    await serving([200], async (found) => {
      url = found
      await Promise.resolve()
    })
    assert.match((await verifyHttp(url, 100)) ?? '', /ECONNREFUSED|no answer in time/)
  })
})
