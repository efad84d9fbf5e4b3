// Releases out of a real repository: what is built is the commit and nothing else, and whatever happens nothing is left.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { makeRelease, type MadeRelease, type ReleaseOptions } from '../../../cli/release/make-release.ts'
import { GIT_ENVIRONMENT, pushedOf, TestRepository, type Pushed } from './support.ts'

let repository: TestRepository
/** What was pushed so far, by all releases of a test. */
let pushed: Pushed[]
let shown: string[]
let warned: string[]
let temporary: string

beforeEach(() => {
  repository = new TestRepository()
  pushed = []
  shown = []
  warned = []
  temporary = join(repository.base, 'tmp')
  mkdirSync(temporary)
})
afterEach(() => repository.remove())

const CELL = (build: string): string =>
  `name: shop\nservices:\n  web:\n    command: [sh, run.sh]\n    build: ${build}\n`

const releaseOf = (
  options: Partial<ReleaseOptions> = {},
  over: { readonly environment?: Record<string, string>; readonly signal?: AbortSignal } = {},
): Promise<MadeRelease> =>
  makeRelease(
    { file: 'cell.yaml', repo: null, rev: 'HEAD', allowDirty: false, work: null, ...options },
    {
      directory: repository.directory,
      environment: { ...GIT_ENVIRONMENT, ...over.environment },
      signal: over.signal ?? new AbortController().signal,
      base: temporary,
      temporary: () => temporary,
      find: (name, version, commit) => {
        const found = pushed.some(
          (one) => one.name === name && one.version === version && one.commit === commit,
        )
        return Promise.resolve(found ? `${name}@${version}` : null)
      },
      show: (service, line) => void shown.push(service === null ? line : `${service}: ${line}`),
      warn: (sentence) => void warned.push(sentence),
    },
    (made) => {
      pushed.push(...pushedOf(made))
      return Promise.resolve(made)
    },
  )

const nothingLeft = (): void => {
  assert.equal(repository.worktrees(), 0)
  assert.deepEqual(
    readdirSync(temporary).filter((name) => name.startsWith('tutti-release-')),
    [],
  )
}

describe('release', () => {
  it('builds the commit in a clean worktree, and pushes what it left with who and when', async () => {
    repository.write('cell.yaml', CELL('{ command: "mkdir out && cp app.txt out/", output: out }'))
    repository.write('app.txt', 'one')
    const commit = repository.commit('first')
    const made = await releaseOf()
    const version = commit.slice(0, 12)
    assert.deepEqual(pushed, [{ name: 'shop-web', version, commit, files: ['app.txt'] }])
    assert.equal(made.file.cell.name, 'shop')
    assert.deepEqual(
      [made.revision.author, made.revision.at],
      ['Ada <ada@example.org>', Date.parse('2031-05-04T10:00:00Z')],
    )
    assert.equal(made.revision.subject, 'first')
    assert.ok(!existsSync(join(repository.directory, 'out')), 'the working tree is not touched')
    nothingLeft()
  })

  it('takes its version from tags, the nearest one back', async () => {
    repository.write('cell.yaml', CELL('.'))
    repository.commit('first')
    repository.git('tag', 'release/1.4.2')
    assert.equal((await releaseOf()).revision.version, 'release-1.4.2')
    const commit = repository.commit('second')
    assert.equal((await releaseOf()).revision.version, `release-1.4.2-1-g${commit.slice(0, 12)}`)
  })

  it('refuses a tree with anything that is not committed, and names the files', async () => {
    repository.write('cell.yaml', CELL('.'))
    repository.write('a.txt', '1')
    repository.commit('first')
    repository.write('a.txt', '2')
    repository.write('new file.txt', '1')
    await assert.rejects(releaseOf(), {
      exit: 1,
      message:
        'not committed: a.txt, new file.txt; commit or stash that, or release what is committed with --allow-dirty',
    })
    assert.deepEqual(pushed, [])
    nothingLeft()
  })

  it('leaves out what is not committed when it is told to go on', async () => {
    repository.write('cell.yaml', CELL('{ command: "cp a.txt copied.txt" }'))
    repository.write('a.txt', 'committed')
    repository.write('.gitignore', 'ignored\n')
    repository.commit('first')
    repository.write('a.txt', 'edited')
    repository.write('stray.txt', '1')
    repository.write('ignored', '1')
    repository.write('cell.yaml', 'nonsense')
    await releaseOf({ allowDirty: true })
    assert.deepEqual(pushed[0]?.files, ['.gitignore', 'a.txt', 'cell.yaml', 'copied.txt'])
  })

  it('goes back to any commit, with the cell file of that commit', async () => {
    repository.write('cell.yaml', CELL('.'))
    repository.write('a.txt', '1')
    const commit = repository.commit('first')
    repository.write('cell.yaml', 'name: other\nservices:\n  api:\n    command: [x]\n')
    repository.commit('second')
    const made = await releaseOf({ rev: 'HEAD~1' })
    assert.equal(made.revision.commit, commit)
    assert.equal(made.file.cell.name, 'shop')
    await assert.rejects(releaseOf({ rev: 'nonsense' }), /'nonsense' names no commit/)
    await assert.rejects(releaseOf({ rev: '--all' }), /'--all' names no commit/)
  })

  it('pushes nothing when a build fails: one sentence, the last lines, and where the rest is', async () => {
    const two = CELL('{ command: "echo fine > fine.txt" }').replace(
      'services:\n',
      'services:\n  api:\n    command: [x]\n    build: { context: api, command: "echo compiling; echo boom >&2; exit 3" }\n',
    )
    repository.write('cell.yaml', two)
    repository.write('api/x', '1')
    const version = repository.commit('first').slice(0, 12)
    const log = join(repository.directory, '.git/tutti', `${version}-api.log`)
    await assert.rejects(releaseOf(), (thrown: Error) => {
      assert.ok(
        thrown.message.startsWith(`api: the build of ${version} exited with 3; nothing was changed, and`),
      )
      assert.ok(thrown.message.includes(log))
      assert.deepEqual(thrown.message.split('\n').slice(1).toSorted(), ['  | boom', '  | compiling'])
      return true
    })
    assert.ok(readFileSync(log, 'utf8').includes('boom'))
    assert.deepEqual(pushed, [])
    nothingLeft()
  })

  it('tests the artifact in a copy of its own, before anything is pushed', async () => {
    const verify = 'test ! -e ../cell.yaml && test -e app.txt && test "$$TUTTI_VERSION" = v1'
    repository.write(
      'cell.yaml',
      CELL(`{ command: "mkdir out; cp app.txt out", output: out, verify: '${verify}' }`),
    )
    repository.write('app.txt', '1')
    repository.commit('first')
    repository.git('tag', 'v1')
    await releaseOf()
    assert.equal(pushed.length, 1)
    repository.write('cell.yaml', CELL('{ verify: "echo wrong; false" }'))
    repository.commit('second')
    await assert.rejects(releaseOf(), /web: its test of v1-1-g[0-9a-f]{12} exited with 1; .*\n  \| wrong$/s)
    assert.equal(pushed.length, 1)
    nothingLeft()
  })

  it('makes nothing again that is pushed already', async () => {
    repository.write('cell.yaml', CELL('{ command: "echo built" }'))
    repository.commit('first')
    await releaseOf()
    shown.length = 0
    const again = await releaseOf()
    assert.equal(pushed.length, 1)
    assert.deepEqual([...again.present.keys()], ['web'])
    assert.ok(!shown.includes('web: built'), shown.join('\n'))
  })

  it('makes equal builds once', async () => {
    const file = `${CELL('{ command: "echo built >> $$COUNT" }')}  api:\n    command: [x]\n    build: { command: "echo built >> $$COUNT" }\n`
    repository.write('cell.yaml', file)
    repository.commit('first')
    const count = join(repository.base, 'count')
    await releaseOf({}, { environment: { COUNT: count } })
    assert.deepEqual(pushed.map(({ name }) => name).toSorted(), ['shop-api', 'shop-web'])
    assert.equal(readFileSync(count, 'utf8'), 'built\n')
  })

  it('gives builds the commit and its time, and neither tutti’s secrets nor the hook’s repository', async () => {
    repository.write(
      'cell.yaml',
      CELL('{ command: "env > env.txt; git rev-parse HEAD > head.txt; cat env.txt" }'),
    )
    const commit = repository.commit('first')
    await releaseOf({}, { environment: { TUTTI_TOKEN: 'secret', GIT_DIR: '/nonexistent', SHELL_VAR: 'x' } })
    const lines = shown.map((line) => line.replace(/^web: /, ''))
    assert.ok(lines.includes(`TUTTI_COMMIT=${commit}`))
    assert.ok(lines.includes(`SOURCE_DATE_EPOCH=${Date.parse('2031-05-04T10:00:00Z') / 1000}`))
    assert.ok(lines.includes('SHELL_VAR=x'))
    assert.ok(!lines.some((line) => line.includes('secret') || line.startsWith('GIT_DIR=')))
  })

  it('ends a build that takes too long, with all that it started', async () => {
    repository.write('cell.yaml', CELL('{ command: "sleep 300 & sleep 300", timeout: 300ms }'))
    repository.commit('first')
    await assert.rejects(releaseOf(), /the build of \w+ took longer than 300ms and was ended/)
    nothingLeft()
  })

  it('is ended by an interrupt, and removes what it made', async () => {
    repository.write('cell.yaml', CELL('{ command: "echo begun; sleep 300" }'))
    repository.commit('first')
    const stop = new AbortController()
    const made = releaseOf({}, { signal: stop.signal })
    const began = setInterval(() => {
      if (shown.includes('web: begun')) stop.abort()
    }, 5)
    await assert.rejects(made, { exit: 130 })
    clearInterval(began)
    nothingLeft()
  })

  it('says where the fault is: no repository, no file, no directory, outside', async () => {
    repository.write('cell.yaml', CELL('{ context: gone }'))
    repository.commit('first')
    await assert.rejects(
      releaseOf(),
      /services\.web\.build\.context: there is no directory gone in this commit/,
    )
    repository.write('cell.yaml', CELL('{ context: ../.. }'))
    repository.commit('second')
    await assert.rejects(
      releaseOf(),
      /services\.web\.build\.context: \.\.\/\.\. is outside of the repository/,
    )
    await assert.rejects(releaseOf({ file: 'other.yaml' }), /has no other\.yaml; commit it/)
    repository.write('cell.yaml', 'services:\n  web:\n    command: [x]\n    working_dir: .\n')
    repository.commit('third')
    await assert.rejects(
      releaseOf(),
      /services\.web\.working_dir: it is in the repository, and only packages/,
    )
    await assert.rejects(releaseOf({ file: temporary }), /is in no git repository/)
  })

  it('takes a file in a folder, and a bare repository by its path or by fetching it', async () => {
    repository.write('app/cell.yaml', CELL('.'))
    repository.write('app/a.txt', '1')
    repository.commit('first')
    assert.deepEqual((await releaseOf({ file: 'app' })).file.cell.name, 'shop')
    assert.deepEqual(pushed[0]?.files, ['a.txt', 'cell.yaml'])
    const bare = join(repository.base, 'bare.git')
    repository.git('clone', '--quiet', '--bare', '.', bare)
    pushed.length = 0
    await releaseOf({ file: 'app/cell.yaml', repo: bare })
    const work = join(repository.base, 'work')
    mkdirSync(work)
    pushed.length = 0
    await releaseOf({ file: 'app/cell.yaml', repo: bare, work, rev: 'main' })
    assert.equal(pushed.length, 1)
    assert.deepEqual(readdirSync(work), ['repository.git'])
    nothingLeft()
    await assert.rejects(releaseOf({ file: 'app/cell.yaml', repo: join(repository.base, 'gone'), work }), {
      code: 'unreachable',
    })
  })

  it('removes what a killed release left, and touches none that is under way', async () => {
    repository.write('cell.yaml', CELL('.'))
    repository.commit('first')
    const dead = join(temporary, 'tutti-release-4194303-1-abcdef')
    const alive = join(temporary, `tutti-release-${process.ppid}-${startOf(process.ppid)}-abcdef`)
    for (const directory of [dead, alive]) {
      mkdirSync(directory)
      repository.git('worktree', 'add', '--quiet', '--detach', join(directory, 'source'), 'HEAD')
    }
    await releaseOf()
    assert.ok(!existsSync(dead))
    assert.ok(existsSync(join(alive, 'source', 'cell.yaml')))
    assert.equal(repository.worktrees(), 1)
  })
})

const startOf = (pid: number): string => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
