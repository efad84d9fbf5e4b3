// A service in a cell file: its command, its directory and package, what it depends on, how it stops and restarts; and
// what is wrong with each.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellDirectory, web } from './cell-directory.ts'

const { read, service, itSays } = cellDirectory()

describe('a service in a cell file', () => {
  it('reads commands as strings, with an entrypoint before them', () => {
    const { cell } = read(`name: s\nservices: { a: { entrypoint: node --x, command: 'app.js "a b"' } }`)
    assert.deepEqual(cell.services[0]?.command, ['node', '--x', 'app.js', 'a b'])
  })

  it('says how to leave a variable to the instance that is given it', () => {
    const { warnings } = read(
      `name: s\nservices: { a: { command: 'sh -c "serve $PORT $OTHER"', ports: [http] } }`,
    )
    assert.deepEqual(
      warnings.map((warning) => warning.replace(/^.*: line/, 'line')),
      [
        'line 2: variable PORT is not set and became empty in services.a.command; write $$PORT to leave it to a shell of the instance, which is given it',
        'line 2: variable OTHER is not set and became empty in services.a.command',
      ],
    )
  })

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

  itSays([
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
      web('on_partition: stya'),
      ["5:19: services.web.on_partition must be one of run, quorum, stay, not 'stya'; did you mean stay?"],
    ],
    [
      web('working_dir: nope'),
      [
        '5:18: services.web.working_dir: directory nope does not exist beside the file; create it or mend the path',
      ],
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
  ])
})
