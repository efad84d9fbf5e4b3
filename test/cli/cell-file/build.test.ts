// `build:` in a cell file: what it means, and what is wrong with it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Build } from '../../../cli/cell-file/build.ts'
import { parseCellFile } from '../../../cli/cell-file/read.ts'

const parse = (lines: string) =>
  parseCellFile(
    `name: shop\nservices:\n  web:\n    command: [run]\n${lines.replace(/^/gm, '    ')}\n`,
    'cell.yaml',
    '/repo/app/cell.yaml',
    {},
  )

const build = (lines: string): Build => {
  const found = parse(lines).builds.get('web')
  assert.ok(found !== undefined)
  return found
}

const problem = (lines: string): string => {
  try {
    parse(lines)
    return ''
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : ''
  }
}

describe('build section', () => {
  it('is the context alone in its short form: what is committed is the artifact', () => {
    assert.deepEqual(build('build: ./web'), {
      context: '/repo/app/web',
      command: null,
      output: '/repo/app/web',
      verify: null,
      timeoutMs: 1_800_000,
    })
    assert.equal(build('build: .').output, '/repo/app')
  })

  it('has a context, a command run in it, and an output below it', () => {
    const found = build(
      'build: { context: src, command: [make, all], output: out/release, verify: [./check], timeout: 90s }',
    )
    assert.deepEqual(found, {
      context: '/repo/app/src',
      command: ['make', 'all'],
      output: '/repo/app/src/out/release',
      verify: ['./check'],
      timeoutMs: 90_000,
    })
  })

  it('takes a string for a script of the shell, which ends with the first command that fails', () => {
    const found = build('build:\n  command: |\n    npm ci && npm test\n    npm run build')
    assert.deepEqual(found.command, ['/bin/sh', '-ec', 'npm ci && npm test\nnpm run build\n'])
  })

  it('is no part of the service: peers never see it', () => {
    assert.ok(!JSON.stringify(parse('build: .').cell).includes('build'))
  })

  for (const [lines, wanted] of [
    ['build: /srv/web', 'services.web.build: /srv/web is absolute'],
    ['build: { output: /out }', 'services.web.build.output: /out is absolute'],
    ['build: { command: [] }', 'services.web.build.command is empty'],
    ['build: { command: "  " }', 'services.web.build.command is empty'],
    ['build: { dockerfile: Dockerfile }', 'services.web.build.dockerfile: it is about images'],
    ['build: { comand: make }', 'services.web.build.comand is not a known key; did you mean command?'],
    ['build: .\npackage: web@1', 'services.web.build makes the package already; keep one of the two'],
  ] as const) {
    it(`refuses ${lines.replace('\n', ', ')}`, () => {
      assert.ok(problem(lines).includes(wanted), problem(lines))
    })
  }
})
