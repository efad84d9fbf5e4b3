// Whole commands against a peer that says what the test wants: output, JSON shapes, exit codes, sentences.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runProgram } from '../../cli/program.ts'
import type { ChangeReply } from '../../node/serve/api/contract.ts'
import type { WatchReply } from '../../node/serve/api/contract-streams.ts'
import { asOf, bufferedIo, fail, fakePeer, tutti, type Answer, type FakePeer } from './fake.ts'

const change = (changes: Partial<ChangeReply> = {}): ChangeReply => ({
  asOf,
  change: null,
  digest: 'd1d2d3d4d5d6',
  accepted: 'local',
  edits: [
    { path: 'shop/web replicas', from: '2', to: '3' },
    { path: 'shop/web command', from: null, to: '["node"]' },
  ],
  slots: [
    { slot: 'shop/web/2', kind: 'start', from: null, to: 'b', reason: 'new' },
    { slot: 'shop/web/0', kind: 'replace', from: 'a', to: 'a', reason: '' },
  ],
  warnings: ['constraint is met by nobody'],
  ...changes,
})

const watch = (state: string): WatchReply => ({
  digest: 'd1d2d3d4d5d6',
  settled: state === 'ready',
  peers: [{ name: 'a', state: 'alive', digest: 'd1d2d3d4d5d6', settled: state === 'ready' }],
  slots: [
    {
      slot: 'shop/web/0',
      peer: 'a',
      state,
      release: 'r',
      desired: true,
      reason: state === 'ready' ? '' : 'why',
    },
  ],
})

const service = {
  name: 'web',
  mode: 'replicated',
  desired: 3,
  ready: 2,
  release: 'abc',
  releasing: true,
  stopped: false,
  unfulfilled: [
    {
      slot: 'shop/web/2',
      peer: 'b',
      state: 'crashed',
      reason: 'exited with 1',
      since: 40_000,
      exit: { code: 1, signal: null, at: 1 },
      output: ['no database'],
    },
  ],
  conflicts: [],
}

const instance = {
  slot: 'shop/web/0',
  cell: 'shop',
  service: 'web',
  index: 0,
  peer: 'a',
  release: 'abc',
  state: 'ready',
  pid: 42,
  ports: { http: 8080 },
  host: '127.0.0.1',
  since: 40_000,
  restarts: 0,
  reason: '',
}

const line = (at: number, slot: string, text: string, stream = 'stdout', release = 'r') =>
  `${JSON.stringify({ at, peer: 'a', slot, instance: `${slot}@${release}`, stream, text })}\n`

const sendEvents =
  (...values: readonly WatchReply[]): Answer =>
  (_asked, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const value of values) response.write(`data: ${JSON.stringify(value)}\n\n`)
  }

const routes = (extra: Readonly<Record<string, Answer>> = {}): Record<string, Answer> => ({
  'GET /v1/peers': () => ({ asOf, cluster: 'c1', braked: false, peers: [] }),
  'GET /v1/services': () => ({
    asOf,
    services: [{ cell: 'shop', ...service, command: ['node', 'a\u001b[2J'], ports: [] }],
  }),
  'GET /v1/instances': () => ({
    asOf,
    instances: [instance, { ...instance, slot: 'shop/cart/0', service: 'cart' }],
  }),
  'GET /v1/status': () => ({
    asOf,
    digest: asOf.digest,
    settled: false,
    waiting: [{ peer: 'b', reason: 'starting shop/web/2' }],
    cells: [{ name: 'shop', services: [service] }],
  }),
  'GET /v1/conflicts': () => ({ asOf, conflicts: [] }),
  'GET /v1/events': () => ({
    asOf,
    events: [{ at: 0, peer: 'a', kind: 'change', subject: 'shop', message: 'applied' }],
  }),
  'GET /v1/logs': (_asked, response) => {
    response.end(
      line(1, 'shop/web/0', 'first\u001b]0;x\u0007') +
        line(2, 'shop/web/1', 'second') +
        line(3, 'shop/web/0', 'b is away', 'notice'),
    )
  },
  'GET /v1/placements': () => ({
    asOf,
    slots: [
      {
        slot: 'shop/web/0',
        peer: 'a',
        reason: 'first choice',
        version: 1,
        candidates: [{ peer: 'a', eligible: true, reasons: ['fits'], rank: 1 }],
        unfulfilled: {
          slot: 'shop/web/0',
          peer: 'a',
          state: 'crashed',
          reason: 'crash loop',
          since: 1,
          exit: { code: 7, signal: null, at: 1 },
          output: ['no database'],
        },
        changes: ['cordon a'],
      },
    ],
  }),
  'GET /v1/watch': sendEvents(watch('starting'), watch('ready')),
  'POST /v1/changes': ({ body }) =>
    change((body as { dry?: boolean }).dry === true ? {} : { change: 'c0ffee0011223344', warnings: [] }),
  'POST /v1/invites': () => ({ ticket: 'tutti1-abc', token: 't', addresses: [], expiresAt: 1, uses: 2 }),
  'POST /v1/join': () => ({ cluster: 'c1c2c3c4c5', id: '12D3', name: 'b', members: 3 }),
  ...extra,
})

let directory: string
let peer: FakePeer
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tutti-prog-'))
  writeFileSync(join(directory, 'cell.yaml'), 'name: shop\nservices: { web: { command: [node, a.js] } }\n')
  writeFileSync(join(directory, 'bad.yaml'), 'name: shop\nservices: { web: { comand: x } }\n')
  peer = await fakePeer(routes())
})
after(async () => {
  await peer.close()
  rmSync(directory, { recursive: true, force: true })
})

const bodies = (): unknown[] => peer.asked.filter(({ method }) => method === 'POST').map(({ body }) => body)

describe('tutti, used wrongly', () => {
  const cases: readonly (readonly [readonly string[], number, string])[] = [
    [['plna'], 2, "tutti: 'plna' is not a command of tutti; did you mean plan?\n"],
    [['peers', 'drian', 'b'], 2, "tutti: 'drian' is not a command of tutti peers; did you mean drain?\n"],
    [['ps', '--jsno'], 2, "tutti: unknown option '--jsno'; did you mean --json?\n"],
    [['scale'], 2, "tutti: missing required argument 'service=n'; see tutti scale --help\n"],
    [['apply'], 2, "tutti: required option '-f, --file <file>' not specified; see tutti apply --help\n"],
    [['apply', '-f', 'none.yaml'], 2, 'tutti: cell file none.yaml does not exist; check the path\n'],
    [
      ['apply', '-f', 'cell.yaml', '--timeout', '5x'],
      2,
      "tutti: '5x' is not a duration; write for example 500ms, 5s, 1m or 2h\n",
    ],
    [
      ['scale', 'shop/web'],
      2,
      "tutti: 'shop/web' is not CELL/SERVICE=N with N from 0 to 2000; write for example shop/web=3\n",
    ],
    [['scale', 'web=3'], 2, "tutti: 'web' is not a service; write it as in shop/web\n"],
    [
      ['logs', 'shop/web/0/x'],
      2,
      "tutti: 'shop/web/0/x' is not a cell, a service or a slot; write it as in shop/web or shop/web/2\n",
    ],
    [['logs', '-n', 'x', 'shop/web'], 2, "tutti: 'x' is not a whole number from 0 to 100000\n"],
    [['top'], 2, 'tutti: tutti top is not offered in this version yet; see tutti --help for what is\n'],
    [
      ['completion', 'tcsh'],
      2,
      "tutti: command-argument value 'tcsh' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish; see tutti completion --help\n",
    ],
    [
      ['apply', '-f', 'cell.yaml'],
      2,
      'tutti: this asks before it changes anything, and no one is at the terminal; add --yes\n',
    ],
    [
      ['apply', '-f', 'bad.yaml'],
      3,
      'tutti: bad.yaml:2:20: services.web.comand is not a known key; did you mean command?\n',
    ],
    [['join', 'abc'], 2, 'tutti: that is not a ticket; copy the whole line that tutti invite printed\n'],
    [
      ['up', '--api', 'nowhere'],
      2,
      "tutti: 'nowhere' is not an address for the API; write HOST:PORT, as in 127.0.0.1:7700\n",
    ],
    [['up', '--name', 'A B'], 2, "tutti: 'A B' is not a peer's name; use lower-case letters, digits and -\n"],
    [['up', '--label', 'zone'], 2, "tutti: 'zone' is not a label; write KEY=VALUE, as in zone=eu-1\n"],
    [
      ['up', '--join', '/ip4/127.0.0.1/tcp/1'],
      2,
      'tutti: joining by address needs the token of tutti invite; add --token\n',
    ],
    [
      ['ps', '--peer', '/nonexistent/t.sock'],
      1,
      'tutti: no peer answers on /nonexistent/t.sock; start one with tutti up\n',
    ],
    [['ps', 'shop/wbeb'], 3, 'tutti: there is no service shop/wbeb; did you mean shop/web?\n'],
  ]
  for (const [words, code, sentence] of cases) {
    it(`says what is wrong with: tutti ${words.join(' ')}`, async () => {
      const ran = await tutti(words, { peer, directory })
      assert.deepEqual([ran.code, ran.stderr.split('\n').at(-2) + '\n'], [code, sentence])
    })
  }
})

describe('tutti --help', () => {
  it('has an example on every command', async () => {
    const root = await tutti(['--help'])
    assert.equal(root.code, 0)
    const names = [...root.stdout.matchAll(/^ {2}([a-z]+) +[[<a-z]?/gm)].map(([, name]) => name ?? '')
    const paths = [
      ...names.filter((name) => name !== 'help'),
      'package push',
      'package ls',
      'package show',
      'package rm',
      'peers rm',
      'peers cordon',
      'peers uncordon',
      'peers drain',
    ]
    assert.ok(paths.length >= 24)
    for (const path of paths) {
      const { code, stdout } = await tutti([...path.split(' '), '--help'])
      assert.deepEqual([code, /\nExample:\n {2}\$ \S/.test(stdout)], [0, true], path)
    }
  })
})

describe('tutti, reading', () => {
  it('prints tab-separated tables when piped, harmless, with their freshness on stderr', async () => {
    const { code, stdout, stderr } = await tutti(['ls'], { peer })
    assert.equal(code, 0)
    assert.equal(
      stdout,
      'SERVICE\tMODE\tREADY\tRELEASE\tPORTS\tCOMMAND\nshop/web\treplicated\t2/3\tabc\t-\tnode a\u241b[2J\n',
    )
    assert.equal(stderr, 'as of peer a: 3/3 peers alive, digest d1d2d3d4\n')
  })

  it('prints one JSON value and nothing else for --json', async () => {
    for (const words of [
      ['peers'],
      ['ls'],
      ['ps'],
      ['status'],
      ['conflicts'],
      ['events'],
      ['explain', 'shop/web'],
      ['invite'],
      ['logs', 'shop/web'],
    ]) {
      const { code, stdout, stderr } = await tutti([...words, '--json'], { peer })
      assert.deepEqual([code, stderr, typeof JSON.parse(stdout)], [0, '', 'object'], words.join(' '))
    }
  })

  it('filters instances by cell, service and slot', async () => {
    const slots = async (of: string): Promise<string[]> => {
      const { stdout } = await tutti(['ps', of, '--json'], { peer })
      return (JSON.parse(stdout) as { instances: { slot: string }[] }).instances.map(({ slot }) => slot)
    }
    assert.deepEqual(await slots('shop'), ['shop/web/0', 'shop/cart/0'])
    assert.deepEqual(await slots('shop/web'), ['shop/web/0'])
    assert.deepEqual(await slots('shop/web/0'), ['shop/web/0'])
  })

  it('shows what is unfulfilled, and for how long', async () => {
    const { stdout } = await tutti(['status'], { peer })
    assert.equal(
      stdout,
      'not settled\n  b: starting shop/web/2\nshop\n  shop/web: 2/3 ready, releasing release abc\n    unfulfilled shop/web/2 on b for 1m: exited with 1\n      | no database\n',
    )
  })

  it('makes logs harmless for a terminal, and leaves them as they are for everything else', async () => {
    const { stdout } = await tutti(['logs', 'shop/web'], { peer, isTerminal: true })
    assert.ok(stdout.includes('first\u241b]0;x\u2407'), stdout)
    assert.ok((await tutti(['logs', 'shop/web'], { peer })).stdout.includes('first\u001b]0;x\u0007'))
  })

  it('hands the limits of logs on', async () => {
    const limits = [
      '--until',
      '2031-05-04T10:00:00Z',
      '--stream',
      'stderr',
      '--grep',
      'a b',
      '--since',
      '2031-05-04',
    ]
    await tutti(['logs', ...limits, 'shop'], { peer })
    const query = peer.asked.at(-1)?.url.searchParams
    assert.deepEqual(
      ['of', 'since', 'until', 'stream', 'grep'].map((name) => query?.get(name)),
      ['shop', `${Date.UTC(2031, 4, 4)}`, `${Date.UTC(2031, 4, 4, 10)}`, 'stderr', 'a b'],
    )
    assert.equal((await tutti(['logs', '-f', '--until', '1m', 'shop'], { peer })).code, 2)
  })

  it('prints logs as told by the peer, with notices on stderr', async () => {
    const { stdout, stderr } = await tutti(['logs', '-n', '5', '--since', '1m', 'shop/web'], { peer })
    assert.equal(stdout, 'shop/web/0 a | first\u001b]0;x\u0007\nshop/web/1 a | second\n')
    assert.equal(stderr, 'shop/web/0 a: b is away\n')
    const query = peer.asked.at(-1)?.url.searchParams
    assert.deepEqual(
      [query?.get('of'), query?.get('tail'), query?.has('since'), query?.has('follow')],
      ['shop/web', '5', true, false],
    )
  })

  it('explains one slot as one object', async () => {
    const value = JSON.parse((await tutti(['explain', 'shop/web/0', '--json'], { peer })).stdout) as Record<
      string,
      unknown
    >
    assert.deepEqual(Object.keys(value), [
      'slot',
      'peer',
      'reason',
      'version',
      'candidates',
      'unfulfilled',
      'changes',
      'asOf',
    ])
    const { stdout } = await tutti(['explain', 'shop/web/0'], { peer })
    assert.equal(
      stdout,
      'shop/web/0 on a: first choice\nRANK\tPEER\tELIGIBLE\tREASONS\n1\ta\tyes\tfits\nunfulfilled: crash loop (last exit: 7)\n  | no database\nwould change it: cordon a\n',
    )
  })

  it('prints only the ticket on stdout', async () => {
    const { stdout } = await tutti(['invite', '--expires', '30m', '--uses', '2'], { peer })
    assert.equal(stdout, 'tutti1-abc\n')
    assert.deepEqual(bodies().at(-1), { expiresMs: 1_800_000, uses: 2 })
  })

  it('gives the token to the peer', async () => {
    await tutti(['ls'], { peer, environment: { TUTTI_TOKEN: 'x' } })
    assert.equal(peer.asked.at(-1)?.token, 'Bearer x')
  })
})

describe('tutti, with options before the command', () => {
  const nowhere = { environment: { TUTTI_PEER: '/nonexistent/t.sock' } }

  it('takes --peer, --token and --json there too', async () => {
    const words = ['--peer', peer.socket, '--token', 'x', '--json', 'ls']
    const { code, stdout } = await tutti(words, nowhere)
    assert.deepEqual([code, 'services' in JSON.parse(stdout)], [0, true])
    assert.equal(peer.asked.at(-1)?.token, 'Bearer x')
    assert.equal((await tutti(['--peer', peer.socket, 'peers', 'cordon', 'b'], nowhere)).code, 0)
  })

  it('lets the nearer one win', async () => {
    const words = ['--peer', '/nonexistent/u.sock', 'ls', '--peer', peer.socket]
    assert.equal((await tutti(words, nowhere)).code, 0)
  })

  it('refuses them where the command has no use for them', async () => {
    const { code, stderr } = await tutti(['--peer', peer.socket, 'up'])
    assert.deepEqual([code, stderr], [2, 'tutti: tutti up takes no option --peer; see tutti up --help\n'])
  })

  it('still finds the word that is wrong', async () => {
    const { code, stderr } = await tutti(['--peer', 'ps', 'pss'])
    assert.deepEqual([code, stderr], [2, "tutti: 'pss' is not a command of tutti; did you mean ps?\n"])
    const none = await tutti(['--json'])
    assert.deepEqual([none.code, none.stderr], [2, 'tutti: that names no command; see tutti --help\n'])
  })
})

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

describe('tutti, editing', () => {
  it('scales several services in one change', async () => {
    assert.equal((await tutti(['scale', 'shop/web=3', 'shop/cart=0'], { peer })).code, 0)
    assert.deepEqual(bodies().at(-1), {
      message: 'scale shop/web=3 shop/cart=0',
      operations: [
        { kind: 'scale', service: 'shop/web', replicas: 3 },
        { kind: 'scale', service: 'shop/cart', replicas: 0 },
      ],
    })
  })

  it('restarts and waits', async () => {
    const { code, stdout } = await tutti(['restart', 'shop/web', '--wait'], { peer })
    assert.deepEqual([code, stdout.endsWith('shop/web: 1/1 ready\n')], [0, true])
  })

  it('removes cells and services after a yes', async () => {
    assert.equal((await tutti(['rm', 'shop'], { peer })).code, 2)
    assert.equal((await tutti(['rm', 'shop', 'x/y'], { peer, answer: 'yes' })).code, 0)
    assert.deepEqual(bodies().at(-1), {
      message: 'remove shop x/y',
      operations: [
        { kind: 'remove-cell', cell: 'shop' },
        { kind: 'remove', service: 'x/y' },
      ],
    })
  })

  it('drains a peer until nothing runs there', async () => {
    const { code, stdout } = await tutti(['peers', 'drain', 'b'], { peer })
    assert.deepEqual([code, stdout.includes('b: empty\n')], [0, true])
    assert.deepEqual(bodies().at(-1), { message: 'drain b', operations: [{ kind: 'drain', peer: 'b' }] })
  })

  it('joins the running peer', async () => {
    const { code, stdout } = await tutti(['join', 'tutti1-abc', '--name', 'b'], { peer })
    assert.deepEqual([code, stdout], [0, 'peer b joined cluster c1c2c3c4 of 3 peers\n'])
  })
})

describe('tutti completion', () => {
  const complete = async (...words: readonly string[]): Promise<string[]> => {
    const { io, out } = bufferedIo({ peer })
    await runProgram(['__complete', '--', ...words], io)
    return out.join('').trimEnd().split('\n')
  }

  it('completes commands, subcommands, options and names', async () => {
    assert.deepEqual(await complete('st'), ['stop', 'start', 'status'])
    assert.deepEqual(await complete('peers', 'c'), ['cordon'])
    assert.deepEqual(await complete('apply', '--t'), ['--token', '--timeout'])
    assert.deepEqual(await complete('logs', 'shop/'), ['shop/web', 'shop/web/0', 'shop/cart/0'])
    assert.deepEqual(await complete('scale', 'shop/web=2', 's'), ['shop/web='])
    assert.deepEqual(await complete('completion', ''), ['bash', 'zsh', 'fish'])
    assert.deepEqual(await complete('apply', '-f', ''), [''])
  })

  it('prints a script for each shell', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      assert.match((await tutti(['completion', shell])).stdout, /tutti __complete --/)
    }
  })
})
