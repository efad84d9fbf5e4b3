// The two texts of a launch mean the same, and a shell that goes on after one is as it was before.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { launchTexts, type LaunchPlan } from '../../../../../node/act/drivers/process/launch.ts'

let folder: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "tutti-launch 'a'-")))
  // In the shim's place: says what it was given.
  writeFileSync(
    join(folder, 'shim'),
    'tr "\\0" "\\n" <"/proc/$$/environ" | grep -v ^_=\necho "in $(pwd -P)"\nprintf "<%s>" "$@"\n: >&9\necho bad >&2\n',
  )
})
afterEach(() => rmSync(folder, { recursive: true }))

const planOf = (name: string, over: Partial<LaunchPlan> = {}): LaunchPlan => {
  const at = join(folder, name)
  mkdirSync(join(at, 'work'), { recursive: true })
  return {
    shell: '/bin/sh',
    shim: join(folder, 'shim'),
    runDirectory: at,
    workingDirectory: join(at, 'work'),
    stdout: join(at, 'out'),
    stderr: join(at, 'err'),
    confined: '{"joins":"it\'s"}',
    environment: { PATH: process.env['PATH'] ?? '', ONE: `it's "1" $HOME\nand more`, TUTTI_STATUS: '7' },
    joins: 'true',
    prelude: '',
    watchdog: '',
    command: ['/bin/true', 'a b', `'`],
    ...over,
  }
}

/** Runs a shell as the spawner is one; what it says. */
const shell = (script: string): string =>
  execFileSync('/bin/sh', ['-s'], {
    input: `TUTTI_SESSION=\n${script}\n`,
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: process.env['PATH'] },
    stdio: ['pipe', 'pipe', 'ignore'],
  })

/** All that a launch left, without the name of its folder. */
const leftOf = (name: string): readonly string[] =>
  ['out', 'err', 'told'].map((file) =>
    readFileSync(join(folder, name, file), 'utf8').replaceAll(join(folder, name), 'RUN'),
  )

/** Lines in no order: shells export their variables as they like. */
const sorted = ([out = '', ...rest]: readonly string[]): unknown => [out.split('\n').toSorted(), ...rest]

describe('launch', () => {
  it('gives the shim the same as a command and as a script', () => {
    shell(`${launchTexts(planOf('a')).command()}\n`)
    shell(launchTexts(planOf('b')).script())
    assert.deepEqual(sorted(leftOf('a')), sorted(leftOf('b')))
    const [out, err, told] = leftOf('a')
    assert.match(out ?? '', /^ONE=it's "1" \$HOME\nand more$/m)
    assert.match(out ?? '', /^in RUN\/work$/m)
    assert.match(out ?? '', /<RUN><true><><\/bin\/true><a b><'>$/)
    assert.deepEqual([err, told], ['bad\n', `confined {"joins":"it's"}\n`])
  })

  it('as a command leaves its shell as it was', () => {
    const { command } = launchTexts(planOf('a'))
    const state = 'pwd; env | grep -v -e ^_= -e PWD=; echo "$ONE"; [ -e /proc/$$/fd/9 ] || echo closed'
    assert.equal(shell(`${command()}\n${state}`), shell(state))
  })

  it('as a command has a status, and what fails leaves the next one alone', () => {
    const missing = launchTexts(planOf('a', { workingDirectory: join(folder, 'none') }))
    const full = launchTexts(planOf('b', { stdout: join(folder, 'none', 'out') }))
    const fine = launchTexts(planOf('c'))
    const said = shell([missing, full, fine].map(({ command }) => `${command()}\necho "$?"`).join('\n'))
    assert.equal(said, '1\n1\n0\n')
    assert.match(readFileSync(join(folder, 'c/out'), 'utf8'), /<a b>/)
  })

  it('as a command is a script of its own where variables or a watchdog need one', () => {
    const PATH = process.env['PATH'] ?? ''
    for (const over of [
      { environment: { PATH, 'not-plain': '1' } },
      { environment: { ONE: '1' } },
      { watchdog: ':', environment: { PATH } },
    ]) {
      const plan = planOf('a', over)
      assert.match(launchTexts(plan).command(), /^\( [^]*\)$/)
      assert.equal(shell(`${launchTexts(plan).command()}\necho "$?"`), '0\n')
      const exported = leftOf('a')[0]
        ?.match(/^[\w-]+(?==)/gm)
        ?.filter((name) => name !== 'PWD')
      assert.deepEqual(exported?.toSorted(), Object.keys(plan.environment).toSorted())
      rmSync(join(folder, 'a'), { recursive: true })
    }
  })
})
