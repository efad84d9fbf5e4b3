// Routes that ask the other peers and merge what they say: logs that are not followed, and events. What is followed is in
// sockets.test.ts.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TuttiError } from '../../../../lib/errors.ts'
import { EventsReply, LogReply } from '../../../../node/serve/api/contract-streams.ts'
import { logLine } from '../fake-agent.ts'
import { fits } from '../fake-api.ts'
import { shopApi } from './shop-api.ts'

describe('GET /v1/logs, not followed', () => {
  it('merges all peers by time and names those that could not be asked', async () => {
    const { agent, output, api } = await shopApi()
    output.lines = [logLine(10, 'oak', 'a'), logLine(30, 'oak', 'c')]
    agent.onAsk = async function* (member) {
      if (member === agent.id(1)) {
        const text = [logLine(20, 'elm', 'b'), logLine(40, 'elm', 'd')]
          .map((line) => `${JSON.stringify(line)}\n`)
          .join('')
        // Cut within a line: parts are not lines.
        yield Buffer.from(text.slice(0, 70))
        yield Buffer.from(text.slice(70))
        return
      }
      throw new TuttiError('unreachable', 'no route to ash')
    }
    const reply = await api.app.inject('/v1/logs?of=shop/web&tail=3')
    assert.equal(reply.headers['content-type'], 'application/x-ndjson')
    const lines = reply.body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const line of lines) fits(LogReply, line)
    assert.deepEqual(
      lines.map(({ stream, peer, text }) => `${stream} ${peer} ${text}`),
      [
        'notice ash its output is missing or incomplete: no route to ash',
        'stdout elm b',
        'stdout oak c',
        'stdout elm d',
      ],
    )
    assert.deepEqual(output.queries[0], {
      of: 'shop/web',
      tail: 3,
      since: undefined,
      until: undefined,
      stream: undefined,
      grep: undefined,
      follow: false,
    })
  })

  it('asks no dead member and says so', async () => {
    const { agent, api } = await shopApi()
    agent.states.set(agent.id(1), 'dead')
    agent.states.set(agent.id(2), 'left')
    const reply = await api.app.inject('/v1/logs?service=shop/web')
    assert.deepEqual(agent.asked, [])
    assert.match(reply.body, /"peer":"elm".*is dead and could not be asked/)
    assert.doesNotMatch(reply.body, /"peer":"ash"/)
  })

  it('answers with an error where there is neither output nor service', async () => {
    const { agent, api, get } = await shopApi()
    agent.onAsk = async function* () {}
    assert.equal((await get('/v1/logs?of=shop/wbe')).body.error.code, 'unknown')
    assert.equal((await get('/v1/logs?of=shop/wbe&follow=1')).status, 404)
    assert.equal((await get('/v1/logs?of=shpo')).status, 404)
    assert.equal((await api.app.inject('/v1/logs?of=shop')).statusCode, 200)
    assert.equal((await get('/v1/logs?of=shop/a/b/c')).status, 400)
    assert.equal((await get('/v1/logs?of=shop&follow=1&until=5')).status, 400)
  })

  it('takes the last hundred lines, and everything since when asked', async () => {
    const { output, api } = await shopApi()
    await api.app.inject('/v1/logs?of=shop/web')
    await api.app.inject('/v1/logs?of=shop/web/1&since=5')
    assert.deepEqual(
      output.queries.map(({ tail, of, since }) => [tail, of, since]),
      [
        [100, 'shop/web', undefined],
        [100_000, 'shop/web/1', 5],
      ],
    )
  })
})

describe('GET /v1/events', () => {
  it('merges the peers and tells once what all noticed', async () => {
    const { agent, get } = await shopApi()
    const dead = (peer: string, at: number) => ({
      seq: 1,
      at,
      peer,
      kind: 'member' as const,
      subject: 'ash',
      message: 'is dead, was alive',
    })
    agent.kept = [dead('oak', 100)]
    agent.onAsk = async function* (member) {
      if (member !== agent.id(1)) return
      yield Buffer.from(`${JSON.stringify(dead('elm', 130))}\n`)
      yield Buffer.from(
        `${JSON.stringify({ at: 50, peer: 'elm', kind: 'instance', subject: 'shop/web/0@r', message: 'ready' })}\n`,
      )
    }
    const { body } = await get('/v1/events')
    fits(EventsReply, body)
    assert.deepEqual(
      body.events.map(
        ({ at, peer, message }: { at: number; peer: string; message: string }) => `${at} ${peer} ${message}`,
      ),
      ['50 elm ready', '100 oak is dead, was alive'],
    )
  })
})
