// Plan and apply: what is shown, what is asked, how the change is followed, and with which exit code it ends.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fail, fakePeer, tutti } from './fake.ts'
import { change, line, routes, sendEvents, shopPeer, watch } from './shop-peer.ts'

const { peer, directory, bodies } = await shopPeer()

describe('tutti plan and apply', () => {
  const text = `shop/web
  ~ replicas: 2 → 3
  + command: ["node"]
slots
  + shop/web/2 starts on b (new)
  ~ shop/web/0 is replaced on a
2 fields, 1 slot to start, 1 slot to replace
`
  it('shows field by field and slot by slot, and exits with 10', async () => {
    const { code, stdout, stderr } = await tutti(['plan', '-f', 'cell.yaml'], { peer, directory })
    assert.deepEqual([code, stdout], [10, text])
    assert.match(stderr, /^warning: constraint is met by nobody\n/)
  })

  it('says in words of the file what a peer refuses for its length', async () => {
    const strict = await fakePeer(
      routes({
        'POST /v1/changes': (_asked, response) =>
          fail(response, 400, 'invalid', 'body/operations/0 is too long'),
      }),
    )
    writeFileSync(
      join(directory, 'long.yaml'),
      `name: shop\nservices: { web: { command: [run, ${'x'.repeat(40_000)}] } }\n`,
    )
    const long = await tutti(['plan', '-f', 'long.yaml'], { peer: strict, directory })
    assert.match(
      long.stderr,
      /^tutti: long\.yaml:1:1: services\.web\.command\.1 must not have more than 32768/,
    )
    const other = await tutti(['plan', '-f', 'cell.yaml'], { peer: strict, directory })
    await strict.close()
    assert.match(other.stderr, /^tutti: body\/operations\/0 is too long/)
  })

  it('exits with 0 when there is nothing to change', async () => {
    const same = await fakePeer(
      routes({ 'POST /v1/changes': () => change({ edits: [], slots: [], warnings: [] }) }),
    )
    const { code, stdout } = await tutti(['plan', '-f', 'cell.yaml'], { peer: same, directory })
    await same.close()
    assert.deepEqual([code, stdout], [0, 'nothing to change\n'])
  })

  it('asks, changes, and follows until every slot is ready', async () => {
    const { code, stdout, stderr } = await tutti(['apply', '-f', 'cell.yaml'], {
      peer,
      directory,
      answer: 'y',
    })
    assert.equal(code, 0)
    assert.ok(
      stdout.startsWith(
        `${text}applied shop as change c0ffee00\nshop/web: 0/1 ready, 1 starting on a (why)\nshop/web: 1/1 ready\nshop is ready after `,
      ),
    )
    assert.match(stderr, /apply this to shop\? \[y\/N\] $/)
  })

  it('changes nothing when the answer is no', async () => {
    const asked = bodies().length
    const { code, stdout } = await tutti(['apply', '-f', 'cell.yaml'], { peer, directory, answer: '' })
    assert.deepEqual([code, stdout.endsWith('nothing was changed\n'), bodies().length], [1, true, asked + 1])
  })

  it('prints the JSON of the contract', async () => {
    const { code, stdout } = await tutti(['apply', '-f', 'cell.yaml', '--yes', '--json'], { peer, directory })
    const value = JSON.parse(stdout) as Record<string, unknown>
    assert.equal(code, 0)
    assert.deepEqual(
      [value['change'], value['digest'], value['accepted'], value['converged']],
      ['c0ffee0011223344', 'd1d2d3d4d5d6', 'majority', true],
    )
    assert.deepEqual([typeof value['durationMs'], Array.isArray(value['services'])], ['number', true])
  })

  it('says local for a change that it did not follow', async () => {
    const words = ['apply', '-f', 'cell.yaml', '--yes', '--no-wait', '--json']
    const { accepted } = JSON.parse((await tutti(words, { peer, directory })).stdout) as Record<
      string,
      unknown
    >
    assert.equal(accepted, 'local')
  })

  it('exits with 4, the reason and what the wanted release wrote last when the time is up', async () => {
    const slow = await fakePeer(
      routes({
        'GET /v1/watch': sendEvents(watch('crashed')),
        'GET /v1/logs': (_asked, response) => {
          response.end(
            line(1, 'shop/web/0', 'of the release before', 'stderr', 'q') +
              line(2, 'shop/web/0', 'first\u001b]0;x\u0007') +
              line(3, 'shop/web/0', 'second'),
          )
        },
      }),
    )
    const words = ['apply', '-f', 'cell.yaml', '-y', '--timeout', '50ms']
    const { code, stderr } = await tutti(words, { peer: slow, directory })
    await slow.close()
    assert.equal(code, 4)
    assert.match(stderr, /shop\/web\/0 is crashed on a: why\n {2}\| first\S*\n {2}\| second/)
    assert.match(
      stderr,
      /tutti: 1 slot is not ready after \d+ms; see tutti status, or wait longer with --timeout\n$/,
    )
  })

  it('tells the reason also where the first answer comes after the time is up', async () => {
    const late = await fakePeer(
      routes({
        'GET /v1/watch': async (asked, response) => {
          // The command reads the same clock, and began to wait before it asked.
          const askedMs = performance.now()
          while (performance.now() < askedMs + 5) await new Promise(setImmediate)
          sendEvents(watch('crashed'))(asked, response)
        },
      }),
    )
    const words = ['apply', '-f', 'cell.yaml', '-y', '--timeout', '1ms']
    const { code, stderr } = await tutti(words, { peer: late, directory })
    await late.close()
    assert.equal(code, 4)
    assert.match(stderr, /shop\/web\/0 is crashed on a: why/)
  })

  it('stops waiting at Ctrl-C and says that the change stays', async () => {
    const slow = await fakePeer(routes({ 'GET /v1/watch': sendEvents(watch('starting')) }))
    const options = { peer: slow, directory, interrupt: AbortSignal.abort() }
    const { code, stderr } = await tutti(['apply', '-f', 'cell.yaml', '-y'], options)
    await slow.close()
    assert.deepEqual([code, /stopped waiting; the change stays/.test(stderr)], [130, true])
  })

  it('passes on what the cluster refuses, with exit code 3', async () => {
    const stern = await fakePeer({
      'POST /v1/changes': (_asked, response) => fail(response, 409, 'refused', 'a runner may not edit'),
    })
    const { code, stderr } = await tutti(['apply', '-f', 'cell.yaml', '-y'], { peer: stern, directory })
    await stern.close()
    assert.deepEqual([code, stderr], [3, 'tutti: a runner may not edit\n'])
  })
})
