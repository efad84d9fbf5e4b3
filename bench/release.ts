// One command from a commit to 50 services × 2 over 10 local peers, health-gated, while a client calls every service through its
// links all the while. Measured: from the command's start to its end, which is when every slot is ready at the new release,
// and the calls that failed meanwhile. The services are small Perl programs, so that the machine holds all of them.

import { execPath } from 'node:process'
import { Fleet, ready, service, until, type Peer } from '../test/e2e/support/fleet.ts'
import { TestRepository } from '../test/cli/release/support.ts'
import { cpuSeconds, pause, print, summarize, type Row } from './support.ts'

const PEERS = 10
const SERVICES = 50
const REPLICAS = 2
const ROUNDS = 3
/** Between two calls of the client to one service. */
const CALL_EVERY_MS = 100
const RELEASE_TIMEOUT_MS = 120_000

// Healthy at once, graceful at its end: it takes no new connection and answers those that wait.
const SERVER = String.raw`
use strict; use warnings; use IO::Socket::INET;
my $version = do { local (@ARGV, $/) = ('version.txt'); <> };
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $ENV{PORT}, Listen => 128, ReuseAddr => 1) or die $!;
my $ending = 0;
$SIG{TERM} = sub { $ending = 1 };
$SIG{PIPE} = 'IGNORE';
for (;;) {
  my $ready = ''; vec($ready, fileno($server), 1) = 1;
  my $found = select($ready, undef, undef, $ending ? 0 : 0.2);
  last if $ending && $found <= 0;
  next if $found <= 0;
  my $client = $server->accept or next;
  my $line = <$client>;
  while (defined(my $header = <$client>)) { last if $header =~ /^\r?\n$/ }
  print $client "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: " . length($version) . "\r\n\r\n$version";
  close $client;
}
`

const CALLER = `
const { createServer, get } = require('node:http')
const uses = Object.entries(process.env).filter(([name]) => name.startsWith('TUTTI_USES_'))
const counts = { ok: 0, failed: 0, slowestMs: 0, last: '', seen: {} }
const call = (address) => new Promise((done) => {
  const [host, port] = address.split(':')
  const began = performance.now()
  const fail = (reason) => { counts.failed += 1; counts.last = String(reason); done() }
  const request = get({ host, port, path: '/', agent: false, timeout: 10000 }, (reply) => {
    let text = ''
    reply.on('data', (part) => (text += part))
    reply.on('error', fail)
    reply.on('end', () => {
      if (reply.statusCode !== 200 || text === '') return fail(reply.statusCode)
      counts.ok += 1
      counts.seen[text] = (counts.seen[text] ?? 0) + 1
      counts.slowestMs = Math.max(counts.slowestMs, performance.now() - began)
      done()
    })
  })
  request.on('timeout', () => request.destroy(new Error('timeout')))
  request.on('error', fail)
})
const loop = async (address) => { for (;;) { await call(address); await new Promise((done) => setTimeout(done, ${CALL_EVERY_MS})) } }
let started = false
createServer((request, reply) => {
  if (request.url === '/go' && !started) { started = true; for (const [, address] of uses) loop(address) }
  reply.setHeader('connection', 'close')
  reply.end(JSON.stringify(counts))
}).listen(Number(process.env.PORT), '0.0.0.0')
`

const names = Array.from({ length: SERVICES }, (_, at) => `s${String(at).padStart(2, '0')}`)

const cellFile = (): string =>
  [
    'name: shop',
    'x-service: &service',
    '  command: [perl, server.pl]',
    '  build:',
    '    command: mkdir dist && cp server.pl dist/ && printf %s "$$TUTTI_VERSION" > dist/version.txt',
    '    output: dist',
    '    verify: perl -c server.pl',
    '  ports: [http]',
    '  healthcheck: { http: /healthz, interval: 1s, timeout: 2s, retries: 3, start_period: 30s }',
    '  stop_grace_period: 10s',
    `  deploy: { replicas: ${REPLICAS} }`,
    'services:',
    ...names.map((name) => `  ${name}: { <<: *service }`),
    '',
  ].join('\n')

interface Counts {
  readonly ok: number
  readonly failed: number
  readonly slowestMs: number
  readonly last: string
  readonly seen: Readonly<Record<string, number>>
}

const release = async (peer: Peer, repository: TestRepository): Promise<number> => {
  const from = performance.now()
  const { code, stderr, stdout } = await peer.cli(
    'release',
    '-f',
    `${repository.directory}/cell.yaml`,
    '--yes',
    '--timeout',
    `${RELEASE_TIMEOUT_MS}ms`,
  )
  if (code !== 0) throw new Error(`release ended with ${code}: ${stderr}\n${stdout.slice(-2000)}`)
  return performance.now() - from
}

const cpuOf = async (peers: readonly Peer[]): Promise<number> =>
  (await Promise.all(peers.map(({ pid }) => cpuSeconds(pid)))).reduce((sum, each) => sum + each, 0)

const measure = async (fleet: Fleet, repository: TestRepository): Promise<readonly Row[]> => {
  const peers = await fleet.grow(PEERS)
  const [first] = peers
  if (first === undefined) return []
  repository.write('cell.yaml', cellFile())
  repository.write('server.pl', SERVER)
  repository.commit('first')
  repository.git('tag', 'v0')
  const initialMs = await release(first, repository)
  await first.change({
    kind: 'apply',
    cell: {
      name: 'probe',
      services: [
        service('caller', [execPath, '-e', CALLER], {
          ports: { http: 0 },
          uses: names.map((name) => `shop/${name}`),
        }),
      ],
    },
  })
  const [caller] = await ready(first, 'caller', 1)
  const url = `http://127.0.0.1:${Object.values(caller?.ports ?? {})[0]}/`
  const counts = async (): Promise<Counts> => (await (await fetch(url)).json()) as Counts
  await (await fetch(`${url}go`)).text()
  await until('the client calls', async () => (await counts()).ok > 10 * SERVICES)
  const durations: number[] = []
  const cpu: number[] = []
  let answered = true
  for (let round = 1; round <= ROUNDS; round += 1) {
    repository.commit(`round ${round}`)
    repository.git('tag', `v${round}`)
    const before = await cpuOf(peers)
    durations.push((await release(first, repository)) / 1000)
    cpu.push((await cpuOf(peers)) - before)
    await pause(3 * CALL_EVERY_MS)
    answered &&= ((await counts()).seen[`v${round}`] ?? 0) > SERVICES
  }
  const { ok, failed, slowestMs, last } = await counts()
  if (failed > 0) process.stderr.write(`the last failure: ${last}\n`)
  const what = `${SERVICES} services x ${REPLICAS} over ${PEERS} peers`
  return [
    { what: `${what}: first release, from nothing`, unit: 's', aim: '', figures: initialMs / 1000 },
    { what: `${what}: one command to all ready`, unit: 's', aim: '<= 20', figures: summarize(durations) },
    { what: 'calls answered meanwhile', unit: '', aim: '', figures: ok },
    { what: 'calls failed meanwhile', unit: '', aim: '0', figures: failed },
    { what: 'slowest call', unit: 'ms', aim: '', figures: slowestMs },
    { what: 'every new version answered', unit: '', aim: '1', figures: answered ? 1 : 0 },
    { what: 'CPU of all peers together, for one release', unit: 's', aim: '', figures: summarize(cpu) },
  ]
}

const repository = new TestRepository()
const fleet = await Fleet.create()
try {
  print('release', await measure(fleet, repository))
} catch (thrown) {
  process.stderr.write(fleet.story())
  throw thrown
} finally {
  await fleet.close()
  repository.remove()
}
