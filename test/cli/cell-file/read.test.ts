// Cell files, good and bad. Bad ones with the exact sentence and place, since that is what people read.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadCellFile, parseCellFile, type CellFile } from '../../../cli/cell-file/read.ts'
import { SERVICE_DEFAULTS, type ServiceSpec } from '../../../crdt/schema/service.ts'

let directory: string
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'tutti-cells-'))
  mkdirSync(join(directory, 'src'))
  writeFileSync(join(directory, '.env'), 'FROM_DOT_ENV=dot\nBOTH=dot\n')
  writeFileSync(join(directory, 'web.env'), '# comment\nA=file\nB="two words"\nexport C=3\n')
})
after(() => rmSync(directory, { recursive: true, force: true }))

const read = (text: string, environment: Record<string, string> = {}): CellFile =>
  parseCellFile(text, 'cell.yaml', join(directory, 'cell.yaml'), environment)

/** The one service of a file with these lines under it. */
const service = (lines: string, environment: Record<string, string> = {}): ServiceSpec => {
  const text = `name: shop\nservices:\n  web:\n    command: [run]\n${lines.replace(/^/gm, '    ')}\n`
  const [spec] = read(text, environment).cell.services
  assert.ok(spec !== undefined)
  return spec
}

/** The sentences about a file, without its name. */
const problemsOf = (text: string, environment: Record<string, string> = {}): string[] => {
  try {
    read(text, environment)
  } catch (thrown) {
    return thrown instanceof Error
      ? thrown.message.split('\n').map((line) => line.replace(/^cell\.yaml:/, ''))
      : []
  }
  return []
}

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
})

describe('parseCellFile, with Compose spellings', () => {
  it('reads commands as strings, with an entrypoint before them', () => {
    const { cell } = read(`name: s\nservices: { a: { entrypoint: node --x, command: 'app.js "a b"' } }`)
    assert.deepEqual(cell.services[0]?.command, ['node', '--x', 'app.js', 'a b'])
  })

  it('reads an environment list, with names taken from the shell', () => {
    const { environment } = service('environment: [A=1, B=x=y, FROM_SHELL, NOT_SET]', { FROM_SHELL: 's' })
    assert.deepEqual(environment, { A: '1', B: 'x=y', FROM_SHELL: 's' })
  })

  it('reads env files under the environment', () => {
    assert.deepEqual(service('env_file: web.env\nenvironment: { A: own }').environment, {
      A: 'own',
      B: 'two words',
      C: '3',
    })
    assert.deepEqual(service('env_file: [{ path: none.env, required: false }]').environment, {})
  })

  it('replaces variables, the shell before .env', () => {
    const lines =
      'environment: { A: "${FROM_DOT_ENV}", B: "$BOTH", C: "${NONE:-c}", D: "$$x" }\ndeploy: { replicas: "${N}" }'
    const spec = service(lines, { BOTH: 'shell', N: '4' })
    assert.deepEqual([spec.environment, spec.replicas], [{ A: 'dot', B: 'shell', C: 'c', D: '$x' }, 4])
  })

  const ports: readonly (readonly [string, Record<string, number>])[] = [
    ['[http, grpc]', { http: 0, grpc: 0 }],
    ['[http: 8080]', { http: 8080 }],
    ['{ http: 8080, admin: }', { http: 8080, admin: 0 }],
    ['["http: 8080"]', { http: 8080 }],
    ['["8080:80", "9090:90"]', { http: 8080, p9090: 9090 }],
    ['[8080]', { http: 8080 }],
    ['["127.0.0.1:8080:80/tcp"]', { http: 8080 }],
    ['[{ target: 80, published: "8080", name: web }]', { web: 8080 }],
    ['[{ target: 80 }]', { http: 80 }],
  ]
  for (const [text, wanted] of ports) {
    it(`reads ports: ${text}`, () => assert.deepEqual(service(`ports: ${text}`).ports, wanted))
  }

  const probes: readonly (readonly [string, object | null])[] = [
    ['{ test: [CMD, curl, -f, x] }', { kind: 'command', command: ['curl', '-f', 'x'] }],
    ['{ test: [CMD-SHELL, "a || b"] }', { kind: 'command', command: ['/bin/sh', '-c', 'a || b'] }],
    ['{ test: "a || b" }', { kind: 'command', command: ['/bin/sh', '-c', 'a || b'] }],
    ['{ tcp: http }', { kind: 'tcp', port: 'http' }],
    ['{ tcp: true }', { kind: 'tcp' }],
    ['{ tcp: 8080 }', { kind: 'tcp', port: 'http' }],
    ['{ http: /h, port: http }', { kind: 'http', path: '/h', port: 'http' }],
    ['{ test: [NONE] }', { kind: 'none' }],
    ['{ disable: true }', { kind: 'none' }],
  ]
  for (const [text, wanted] of probes) {
    it(`reads healthcheck: ${text}`, () => {
      const found = service(`ports: [http: 8080]\nhealthcheck: ${text}`).healthcheck
      const rest = { intervalMs: 5000, timeoutMs: 2000, retries: 3, startPeriodMs: 0 }
      assert.deepEqual(found, { ...wanted, ...rest })
    })
  }

  const restarts: readonly (readonly [string, string])[] = [
    ['always', 'any'],
    ['unless-stopped', 'any'],
    ['on-failure:3', 'on-failure'],
    ['no', 'none'],
    ['"no"', 'none'],
    ['false', 'none'],
  ]
  for (const [word, condition] of restarts) {
    it(`reads restart: ${word}`, () => assert.equal(service(`restart: ${word}`).restart.condition, condition))
  }

  it('reads the attempts of a restart word unless the policy has its own, and 0 as no end', () => {
    const attempts = (lines: string): number | null => service(lines).restart.attemptsMax
    assert.equal(attempts('restart: on-failure:3'), 3)
    assert.equal(attempts('restart: on-failure:0'), null)
    assert.equal(attempts('deploy: { restart_policy: { max_attempts: 0 } }'), null)
    const both = 'restart: on-failure:3\ndeploy: { restart_policy: { condition: any, max_attempts: 5 } }'
    assert.equal(attempts(both), 5)
    assert.equal(attempts('restart: on-failure:3\ndeploy: { restart_policy: { condition: any } }'), null)
  })

  it('reads a liveness that is disabled as none', () => {
    assert.equal(service('liveness: { disable: true }').liveness, null)
  })

  it('reads depends_on as a list, a map and a word', () => {
    const { cell } = read(`
name: s
services:
  a: { command: x }
  b: { command: x, depends_on: [a] }
  c: { command: x, depends_on: { a: { condition: service_healthy }, b: healthy } }
  d: { command: x, depends_on: { a: { condition: service_started } }, uses: [a, s/b, other/x] }
`)
    assert.deepEqual(
      cell.services.map(({ dependsOn }) => dependsOn),
      [{}, { a: 'started' }, { a: 'healthy', b: 'healthy' }, { a: 'started' }],
    )
    assert.deepEqual(cell.services[3]?.uses, ['s/a', 's/b', 'other/x'])
  })

  it('reads the older resource keys, scale and preferences', () => {
    const spec = service(
      'cpus: 0.5\nmem_limit: 64m\nmem_reservation: 32m\nscale: 2\ndeploy: { placement: { preferences: [{ spread: node.labels.rack }] } }',
    )
    assert.deepEqual(
      [spec.cpusMaxMilli, spec.memoryMaxBytes, spec.reservedMemoryBytes, spec.replicas, spec.spread],
      [500, 64 * 1024 ** 2, 32 * 1024 ** 2, 2, 'node.labels.rack'],
    )
  })

  it("reads limits, user and isolation under Compose's names", () => {
    const spec = service(
      'deploy: { resources: { limits: { memory: 64M, cpus: "0.5", pids: 20 } } }\nulimits: { nofile: 1024 }\nuser: "www:adm"\nisolation: sandbox',
    )
    const { memoryMaxBytes, cpusMaxMilli, pidsMax, openFilesMax, user, isolation } = spec
    assert.deepEqual(
      [memoryMaxBytes, cpusMaxMilli, pidsMax, openFilesMax, user, isolation],
      [64 * 1024 ** 2, 500, 20, 1024, 'www:adm', 'sandbox'],
    )
    assert.equal(service('pids_limit: -1').pidsMax, null)
    assert.equal(service('pids_limit: 7').pidsMax, 7)
    assert.equal(service('isolation: default').isolation, 'none')
    assert.equal(service('ulimits: { nofile: { soft: 10, hard: 20 } }').openFilesMax, 20)
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

describe('parseCellFile, with mistakes', () => {
  const web = (lines: string): string => `name: s\nservices:\n  web:\n    command: [run]\n    ${lines}`
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['', ['1:1: the file is empty; add services:']],
    ['- a', ['1:1: the file must be a map with services:']],
    ['name: s', ['1:1: the file has no services; add services: with a name and a command']],
    ['name: s\nservices: {}', ['2:1: services is empty; add one, or remove the cell with tutti rm']],
    ['name: s\nservices: { web: }', ['2:13: services.web is empty; give it a command']],
    [
      'a: [1',
      [
        '1:6: not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
      ],
    ],
    ['name: s\nname: t\nservices: { a: { command: x } }', ['2:1: not valid YAML: map keys must be unique']],
    ['a: 1\n---\nb: 2', ['2:1: the file holds several documents; keep one']],
    [
      'name: My Shop\nservices: { a: { command: x } }',
      ["1:7: name: 'My Shop' may have lower-case letters, digits and - only; write my-shop"],
    ],
    [
      'servces: { a: { command: x } }',
      [
        '1:1: servces is not a known key; did you mean services?',
        '1:1: the file has no services; add services: with a name and a command',
      ],
    ],
    [
      'name: s\nservices: { a: { comand: x } }',
      ['2:18: services.a.comand is not a known key; did you mean command?'],
    ],
    [
      'name: s\nservices: { a: { ports: [http] } }',
      ['2:13: services.a has no command; add for example command: [node, server.js]'],
    ],
    [
      'name: s\nservices: { My_App: { command: x } }',
      ["2:13: services.My_App: a service's name has lower-case letters, digits and - only; write my-app"],
    ],
    [
      'name: s\nservices: { a: { command: ./x } }',
      [
        '2:18: services.a.command: ./x is relative to the working directory, and there is none; add working_dir: .',
      ],
    ],
    [
      'name: s\nservices: { a: { command: "" } }',
      ['2:18: services.a.command is empty; give a program to run'],
    ],
    [
      'name: s\nservices: { a: { image: x } }',
      ['2:18: services.a.image: images are not offered yet; give a command that runs on the machine'],
    ],
    [
      'name: s\nservices: { a: { command: x, depends_on: [b] }, b: { command: x, depends_on: [a] } }',
      ['2:1: depends_on goes in a circle: a → b → a; remove one of them'],
    ],
    [
      'name: s\ngateway: { listen: 1 }\nservices: { a: { command: x } }',
      [
        '2:1: gateway: gateways are not offered yet; give the entry service a fixed port, as in ports: [http: 8080]',
      ],
    ],
    [
      web('package: ./dist'),
      [
        '5:14: services.web.package: package directory ./dist does not exist; build it, or write NAME@VERSION',
      ],
    ],
    [
      web('package: Web@1.2'),
      [
        "5:14: services.web.package: 'Web@1.2' is no NAME@VERSION; names have lower-case letters, digits and -, as in api@1.4.2",
      ],
    ],
    [
      web('package: ./src\n    working_dir: ../src'),
      [
        '6:18: services.web.working_dir: ../src lies outside of the package; write a directory in it, or remove package',
      ],
    ],
    [
      web('package: ./src\n    working_dir: lib'),
      ['6:18: services.web.working_dir: directory lib does not exist in the package; mend the path'],
    ],
    [web('user: "a b"'), ["5:11: services.web.user: 'a b' is not a user; write NAME, UID or UID:GID"]],
    [
      web('isolation: hyperv'),
      ["5:16: services.web.isolation must be one of none, sandbox, default, not 'hyperv'"],
    ],
    [
      web('ulimits: { nofile: 1 }'),
      ["5:24: services.web.ulimits.nofile must be a whole number from 3 to 1073741824, not '1'"],
    ],
    [
      web('ulimits: { nproc: 1 }'),
      [
        '5:16: services.web.ulimits.nproc: only nofile is offered; set others in the command, as in sh -c "ulimit -c 0; exec server"',
      ],
    ],
    [
      web('deploy: { resources: { reservations: { pids: 5 } } }'),
      [
        '5:44: services.web.deploy.resources.reservations.pids: processes are limited and not reserved; move it to limits',
      ],
    ],
    [
      web('volumes: [a:/b]'),
      [
        '5:5: services.web.volumes: volumes are not offered yet; let the program write to a directory of the machine',
      ],
    ],
    [
      web('privileged: true'),
      ['5:5: services.web.privileged: it is about containers, and tutti runs programs directly; remove it'],
    ],
    [
      web('on_partition: quorum\n    deploy: { update_config: { order: start-first } }'),
      [
        '6:32: services.web.deploy.update_config.order: two runs of a quorum slot never overlap; remove it or write stop-first',
      ],
    ],
    [
      web('on_partition: stya'),
      ["5:19: services.web.on_partition must be one of run, quorum, stay, not 'stya'; did you mean stay?"],
    ],
    [
      web('working_dir: nope'),
      [
        '5:18: services.web.working_dir: directory nope does not exist beside the file; create it or mend the path',
      ],
    ],
    [web('env_file: nope.env'), ['5:15: services.web.env_file: file nope.env does not exist']],
    [
      web('environment: { A-B: 1 }'),
      ["5:20: services.web.environment: 'A-B' is not a variable's name; use letters, digits and _"],
    ],
    [
      web('environment: { TUTTI_X: 1 }'),
      ['5:20: services.web.environment: TUTTI_X is set by tutti; choose another name'],
    ],
    [web('environment: { A: [1] }'), ['5:23: services.web.environment.A must be one value, not a list']],
    [
      web('environment: { A: "${X:?say where}" }'),
      [
        '5:23: services.web.environment.A: variable X is not set: say where; set it in the environment or in .env',
      ],
    ],
    [web('ports: [70000]'), ['5:13: services.web.ports: 70000 is not a port; the highest is 65535']],
    [
      web('ports: ["53:53/udp"]'),
      ["5:13: services.web.ports: '53:53/udp' is UDP, and only TCP ports are offered; remove it"],
    ],
    [
      web('ports: ["8000-8010:80"]'),
      ['5:13: services.web.ports: \'8000-8010:80\' is not a port; write a name, "http: 8080" or "8080:80"'],
    ],
    [web('ports: [a, a]'), ['5:16: services.web.ports: port a is named twice; give each a name of its own']],
    [
      web('healthcheck: { http: /h }'),
      ['5:20: services.web.healthcheck.http needs a port to ask; add ports: [http] to the service'],
    ],
    [
      web('liveness: { test: x }\n    restart: no'),
      [
        '5:5: services.web.liveness restarts what hangs, and the service is not to be restarted; remove one of the two',
      ],
    ],
    [
      web('healthcheck: { interval: 1s }'),
      ['5:5: services.web.healthcheck needs exactly one of http, tcp and test'],
    ],
    [
      web('healthcheck: { test: [curl, x] }'),
      [
        '5:20: services.web.healthcheck.test must be a string, [CMD, program, …], [CMD-SHELL, "line"] or [NONE]',
      ],
    ],
    [
      web('healthcheck: { test: x, interval: 5 }'),
      [
        "5:39: services.web.healthcheck.interval: '5' is not a duration; write for example 500ms, 5s, 1m or 2h",
      ],
    ],
    [
      web('healthcheck: { test: x, interval: 1ms }'),
      ['5:29: services.web.healthcheck.interval must be at least 100ms'],
    ],
    [
      web('depends_on: [weeb]'),
      ['5:18: services.web.depends_on: the cell has no service weeb; did you mean web?'],
    ],
    [web('depends_on: [web]'), ['5:18: services.web.depends_on: web cannot depend on itself; remove it']],
    [
      web('uses: [s/x-y]'),
      ['5:12: services.web.uses: the cell has no service x-y; write CELL/SERVICE for one of another cell'],
    ],
    [web('uses: [a/b/c]'), ["5:12: services.web.uses: 'a/b/c' is not a service; write CELL/SERVICE"]],
    [
      web('stop_signal: SIGFOO'),
      [
        "5:18: services.web.stop_signal must be one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGKILL, not 'SIGFOO'",
      ],
    ],
    [
      web('restart: alway'),
      ["5:14: services.web.restart must be always, unless-stopped, on-failure or no, not 'alway'"],
    ],
    [web('scale: -1'), ["5:12: services.web.scale must be a whole number from 0 to 2000, not '-1'"]],
    [
      web('deploy: { replicas: 2, mode: global }'),
      ['5:15: services.web.deploy.replicas: a global service runs once on every peer; remove the number'],
    ],
    [
      web('deploy: { replica: 2 }'),
      ['5:15: services.web.deploy.replica is not a known key; did you mean replicas?'],
    ],
    [
      web('deploy: { replicas: 2 }\n    scale: 3'),
      ['6:5: services.web.scale is 3 and services.web.deploy.replicas is 2; keep one of them'],
    ],
    [
      web('deploy: { update_config: { max_failure_ratio: 0.5 } }'),
      [
        '5:32: services.web.deploy.update_config.max_failure_ratio: one failed instance is enough to judge a release; remove it',
      ],
    ],
    [
      web('deploy: { placement: { constraints: [zone=a] } }'),
      [
        '5:42: services.web.deploy.placement.constraints: \'zone=a\' is not a constraint; write for example "node.labels.zone == eu-1"',
      ],
    ],
    [
      web('deploy: { placement: { spread: zone } }'),
      [
        "5:36: services.web.deploy.placement.spread: 'zone' is not a label; write for example node.labels.zone",
      ],
    ],
    [
      web('deploy: { resources: { limits: { memory: lots } } }'),
      [
        "5:46: services.web.deploy.resources.limits.memory: 'lots' is not a size; write for example 64M or 1G",
      ],
    ],
    [
      web('deploy: { resources: { limits: { cpus: lots } } }'),
      [
        '5:44: services.web.deploy.resources.limits.cpus: \'lots\' is not a number of CPUs; write for example "0.25" or 2',
      ],
    ],
    [web('deploy: 3'), ['5:13: services.web.deploy must be a map of keys and values']],
    [web('stop_grace_period: *none'), ['5:24: alias *none has no anchor before it; define it with &none']],
  ]
  for (const [text, wanted] of cases) {
    it(`says ${wanted[0]}`, () => assert.deepEqual(problemsOf(text), wanted))
  }

  it('collects all problems in the order of lines, and shows the first twenty', () => {
    const keys = Array.from({ length: 25 }, (_, at) => `    qqqqqqq${at}: 1`).join('\n')
    const found = problemsOf(`name: s\nservices:\n  a:\n    command: x\n${keys}`)
    assert.equal(found.length, 21)
    assert.equal(found[0], '5:5: services.a.qqqqqqq0 is not a known key')
    assert.equal(found.at(-1), ' and 5 more')
  })

  it('calls a file unsupported only when nothing else is wrong with it', () => {
    assert.throws(() => read(web('image: x')), { code: 'unsupported' })
    assert.throws(() => read(web('image: x\n    foo: x')), { code: 'invalid' })
  })

  it('refuses a file above 1 MiB', () => {
    assert.throws(() => read(`# ${'x'.repeat(1024 * 1024)}`), {
      code: 'too-large',
      message: 'cell.yaml:1:1: the file is larger than 1 MiB; split the cell into several',
    })
  })

  it('refuses aliases that multiply, at once', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [name, before] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf'].map((pair) => pair.split(''))) {
      bomb.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(', ')}]`)
    }
    assert.match(
      problemsOf(bomb.join('\n'))[0] ?? '',
      /nested too deeply or repeats too much through aliases/,
    )
  })

  it('never crashes on an alias to what surrounds it', () => {
    assert.match(problemsOf('a: &a [*a]')[0] ?? '', /nested too deeply|unresolved alias|no anchor/)
  })

  it('refuses a value that is longer than the document takes', () => {
    assert.match(
      problemsOf(web(`environment: { A: ${'x'.repeat(40_000)} }`))[0] ?? '',
      /services\.web\.environment\.A/,
    )
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
