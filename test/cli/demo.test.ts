// The demo with peers that only pretend: it starts three, applies the shop, tells where it runs, and removes everything, also
// what the peers left behind and when a peer does not start.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demo } from '../../cli/commands/demo.ts'
import { endProcessesUnder, processesUnder } from '../../cli/demo/leftovers.ts'
import { bufferedIo } from './fake.ts'

// A peer in a few lines. Its one instance is a real process with its output in the data directory, which it never ends.
const PRETENDER = `#!${process.execPath}
const { createServer } = require('node:http')
const { spawn } = require('node:child_process')
const { openSync, writeFileSync } = require('node:fs')
const value = (name) => process.argv[process.argv.indexOf(name) + 1]
const data = value('--data'), name = value('--name')
if (process.env.FAIL === name) { console.error('tutti: the disk is full; make room'); process.exit(1) }
writeFileSync(data + '/ticket', process.env.TUTTI_TICKET ?? '')
const peer = (of) => ({ name: of, state: 'alive', digest: 'd', self: of === name })
let cells = [], pid = null
const replies = {
  'GET /v1/peers': () => ({ asOf: { digest: 'd' }, peers: ['a', 'b', 'c'].map(peer) }),
  'GET /v1/status': () => ({ cells: cells.map((name) => ({ name, services: [] })) }),
  'GET /v1/instances': () => ({ instances: cells.length === 0 ? [] :
    [{ slot: 'shop/web/0', service: 'web', peer: name, state: 'ready', pid, ports: { http: 4711 } }] }),
  'POST /v1/invites': () => ({ ticket: 'tutti1-x' }),
  'POST /v1/changes': (body) => {
    cells = body.operations.filter(({ kind }) => kind === 'apply').map(({ cell }) => cell.name)
    if (cells.length > 0) {
      const out = openSync(data + '/out', 'a')
      pid = spawn('sleep', ['60'], { detached: true, stdio: ['ignore', out, out], cwd: '/' }).pid
    }
    return {}
  },
}
createServer((request, response) => {
  if (request.url === '/v1/watch') {
    const slot = { slot: 'shop/web/0', peer: 'a', state: 'ready', release: 'r', desired: true, reason: '' }
    return response.write('data: ' + JSON.stringify({ digest: 'd', settled: true, peers: [], slots: [slot] }) + '\\n\\n')
  }
  let body = ''
  request.on('data', (part) => (body += part)).on('end', () => {
    const reply = replies[request.method + ' ' + request.url](body === '' ? null : JSON.parse(body))
    response.end(JSON.stringify(reply))
  })
}).listen(data + '/tutti.sock')
process.on('SIGTERM', () => process.exit(0))
`

let directory: string
let launcher: string
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'tutti-stage-'))
  launcher = join(directory, 'pretender')
  writeFileSync(launcher, PRETENDER)
  chmodSync(launcher, 0o755)
})
after(() => rmSync(directory, { recursive: true, force: true }))

const environment = (extra: Record<string, string> = {}) => ({ PATH: process.env['PATH'] ?? '', ...extra })
const context = (io: ReturnType<typeof bufferedIo>['io']) => ({
  io,
  peer: null,
  token: null,
  json: false,
  timeoutMs: null,
  message: null,
  ifDigest: null,
})

describe('demo', () => {
  it('sets the stage, tells what to try, and removes everything at Ctrl-C', async () => {
    const interrupt = new AbortController()
    const { io, out } = bufferedIo({ environment: environment(), interrupt: interrupt.signal })
    let tickets: string[] = []
    let root = ''
    const write = io.stdout.write.bind(io.stdout)
    const stdout = {
      ...io.stdout,
      write: (text: string) => {
        write(text)
        root ||= /TUTTI_PEER=(.*)\/a\/tutti\.sock/.exec(text)?.[1] ?? ''
        if (!text.includes('Ctrl-C')) return
        tickets = ['a', 'b', 'c'].map((name) => readFileSync(join(root, name, 'ticket'), 'utf8'))
        assert.equal(processesUnder(root).length, 4)
        interrupt.abort()
      },
    }
    assert.equal(await demo(context({ ...io, stdout }), { launcher }), 0)
    const text = out.join('')
    assert.match(text, /3 peers and 1 instance are ready after /)
    assert.match(text, /curl http:\/\/127\.0\.0\.1:4711\//)
    assert.match(text, /everything is removed\n$/)
    assert.deepEqual(tickets, ['', 'tutti1-x', 'tutti1-x'])
    assert.deepEqual([existsSync(root), processesUnder(root)], [false, []])
  })

  it('removes everything when a peer does not start, and says why it did not', async () => {
    const { io, out } = bufferedIo({ environment: environment({ FAIL: 'c' }) })
    await assert.rejects(demo(context(io), { launcher }), {
      name: 'Failure',
      message: 'the peer did not start: the disk is full; make room',
    })
    assert.match(out.join(''), /everything is removed\n$/)
  })
})

describe('endProcessesUnder', () => {
  it('ends what belongs to a directory, by its output, and nothing else', async () => {
    const log = openSync(join(directory, 'log'), 'a')
    const ours = spawn('sleep', ['60'], { stdio: ['ignore', log, 'ignore'], detached: true })
    const other = spawn('sleep', ['60'], { stdio: 'ignore', detached: true })
    const gone = new Promise((resolve) => ours.once('exit', resolve))
    assert.deepEqual(processesUnder(directory), [ours.pid])
    assert.equal(await endProcessesUnder(directory), 1)
    await gone
    assert.deepEqual([other.exitCode, other.signalCode], [null, null])
    other.kill()
  })
})
