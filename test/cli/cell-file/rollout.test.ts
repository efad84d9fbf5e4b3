import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCellFile } from '../../../cli/cell-file/read.ts'

const readWeb = (lines: readonly string[]) => {
  const text = [
    'name: shop',
    'services:',
    '  web:',
    '    command: [serve]',
    '    ports: [http]',
    ...lines.map((line) => `    ${line}`),
  ]
  const { cell } = parseCellFile(text.join('\n'), 'cell.yaml', '/cell.yaml', {})
  const [web] = cell.services
  assert.ok(web !== undefined)
  return web
}

describe('update_config', () => {
  it('reads canary, monitor, delay, verdict and promotion', () => {
    const { update } = readWeb([
      'deploy:',
      '  update_config: { canary: 2, monitor: 5s, delay: 1s, failure_action: rollback, progress_deadline: 2m, promote: manual }',
    ])
    assert.deepEqual(update, {
      order: 'start-first',
      parallelism: 1,
      canary: 2,
      monitorMs: 5000,
      delayMs: 1000,
      failureAction: 'rollback',
      progressDeadlineMs: 120_000,
      promote: 'manual',
    })
  })

  it('reads parallelism: all as Compose writes it, 0', () => {
    assert.equal(readWeb(['deploy: { update_config: { parallelism: all } }']).update.parallelism, 0)
  })

  it('says nothing of what the file does not say', () => {
    assert.deepEqual(readWeb([]).update, { order: 'start-first', parallelism: 1 })
    assert.equal(readWeb([]).preDeploy, undefined)
  })
})

describe('hooks', () => {
  it('read a command in either form, or a map with a timeout', () => {
    assert.deepEqual(readWeb(['pre_deploy: migrate --all']).preDeploy?.command, ['migrate', '--all'])
    assert.deepEqual(readWeb(['pre_deploy: { command: [migrate], timeout: 60s }']).preDeploy, {
      command: ['migrate'],
      timeoutMs: 60_000,
    })
    assert.deepEqual(readWeb(['verify: ./smoke']).verify?.command, ['./smoke'])
    assert.deepEqual(readWeb(['verify: { http: /healthz, timeout: 5s }']).verify, {
      http: '/healthz',
      timeoutMs: 5000,
    })
  })

  it('refuse a verification that asks for both or nothing', () => {
    assert.throws(() => readWeb(['verify: { timeout: 5s }']), /needs exactly one of http and command/)
    assert.throws(() => readWeb(['verify: { http: healthz }']), /must be a path such as/)
  })
})
