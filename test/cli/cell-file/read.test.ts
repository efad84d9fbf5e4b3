// Whole cell files: defaults, every field, names, anchors, order; and where a file is found.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { loadCellFile, parseCellFile } from '../../../cli/cell-file/read.ts'
import { SERVICE_DEFAULTS } from '../../../crdt/schema/service-defaults.ts'
import { cellDirectory } from './cell-directory.ts'

const { directory, read, service } = cellDirectory()

describe('parseCellFile', () => {
  it('reads the smallest file with every default', () => {
    assert.deepEqual(read('name: shop\nservices: { web: { command: [node, a.js] } }').cell, {
      name: 'shop',
      services: [{ name: 'web', command: ['node', 'a.js'], ...SERVICE_DEFAULTS }],
    })
  })

  it("reads the contract's fields", () => {
    const spec = service(`
working_dir: src
environment: { LOG_LEVEL: info, N: 1.10, YES: yes, EMPTY: "" }
ports: [http, admin: 9000]
healthcheck: { http: /healthz, interval: 5s, timeout: 2s, retries: 3, start_period: 10s }
liveness: { http: /live, interval: 10s, successes: 2 }
uses: [billing/ledger]
stop_signal: SIGINT
stop_grace_period: 1m30s
on_partition: stay
deploy:
  mode: replicated
  replicas: 3
  resources: { reservations: { cpus: "0.25", memory: 128M }, limits: { memory: 256M, cpus: 2 } }
  placement: { constraints: ["node.labels.zone != eu-2"], spread: node.labels.zone, max_replicas_per_node: 2 }
  update_config: { order: stop-first, parallelism: 2 }
  restart_policy: { condition: on-failure, delay: 1s, max_delay: 1m, max_attempts: 4, window: 20s }
  reschedule_after: 7s
  unfulfilled_after: 3m`)
    assert.deepEqual(spec, {
      name: 'web',
      command: ['run'],
      workingDir: join(directory, 'src'),
      package: null,
      environment: { LOG_LEVEL: 'info', N: '1.10', YES: 'yes', EMPTY: '' },
      ports: { http: 0, admin: 9000 },
      healthcheck: {
        kind: 'http',
        path: '/healthz',
        port: 'http',
        intervalMs: 5000,
        timeoutMs: 2000,
        retries: 3,
        startPeriodMs: 10_000,
      },
      liveness: {
        kind: 'http',
        path: '/live',
        port: 'http',
        intervalMs: 10_000,
        timeoutMs: 2000,
        retries: 3,
        startPeriodMs: 0,
        successes: 2,
      },
      dependsOn: {},
      uses: ['billing/ledger'],
      stopSignal: 'SIGINT',
      stopGraceMs: 90_000,
      onPartition: 'stay',
      mode: 'replicated',
      replicas: 3,
      reservedCpusMilli: 250,
      reservedMemoryBytes: 128 * 1024 ** 2,
      memoryMaxBytes: 256 * 1024 ** 2,
      cpusMaxMilli: 2000,
      pidsMax: null,
      openFilesMax: null,
      user: null,
      isolation: 'none',
      constraints: ['node.labels.zone != eu-2'],
      spread: 'node.labels.zone',
      replicasPerNodeMax: 2,
      update: { order: 'stop-first', parallelism: 2 },
      restart: {
        condition: 'on-failure',
        delayMs: 1000,
        delayMaxMs: 60_000,
        attemptsMax: 4,
        windowMs: 20_000,
      },
      rescheduleAfterMs: 7000,
      unfulfilledAfterMs: 180_000,
    })
  })

  it('names the cell after its directory where the file does not', () => {
    mkdirSync(join(directory, 'My_Shop.v2'))
    const file = parseCellFile('services: { a: { command: x } }', 'f', join(directory, 'My_Shop.v2', 'f'), {})
    assert.equal(file.cell.name, 'my-shop-v2')
  })

  it('resolves anchors and merge keys, the own key winning', () => {
    const { cell } = read(`
x-base: &base { command: [run], stop_grace_period: 1s, environment: { A: a } }
name: s
services:
  one: { <<: *base, stop_grace_period: 2s }
  two:
    <<: [*base, { command: [other] }]
`)
    assert.deepEqual(
      cell.services.map(({ name, command, stopGraceMs }) => [name, command, stopGraceMs]),
      [
        ['one', ['run'], 2000],
        ['two', ['run'], 1000],
      ],
    )
  })

  it('sorts services by name, so that two files in another order are one change', () => {
    const { cell } = read('name: s\nservices: { b: { command: x }, a: { command: x } }')
    assert.deepEqual(
      cell.services.map(({ name }) => name),
      ['a', 'b'],
    )
  })

  it('ignores what means nothing without containers, and says so', () => {
    const file = read(
      'version: "3"\nname: s\nnetworks: { x: }\nservices: { a: { command: x, container_name: y } }',
    )
    assert.deepEqual(file.warnings, [
      'cell.yaml: line 3: networks means nothing here and is ignored',
      'cell.yaml: line 4: services.a.container_name means nothing here and is ignored',
    ])
  })
})

describe('loadCellFile', () => {
  it('reads the examples', () => {
    const root = resolve(import.meta.dirname, '../../..')
    const shop = loadCellFile('examples/shop', root, {})
    assert.deepEqual([shop.cell.name, shop.cell.services.length, shop.warnings], ['shop', 3, []])
    const compose = loadCellFile('examples/compose/compose.yaml', root, {})
    assert.deepEqual([compose.cell.name, compose.cell.services.length, compose.warnings], ['compose', 2, []])
  })

  it('says so when there is no such file', () => {
    assert.throws(() => loadCellFile('none.yaml', directory, {}), {
      name: 'UsageError',
      message: 'cell file none.yaml does not exist; check the path',
    })
    assert.throws(() => loadCellFile('src', directory, {}), {
      name: 'UsageError',
      message: 'directory src holds no cell.yaml; name the file with -f',
    })
  })
})
