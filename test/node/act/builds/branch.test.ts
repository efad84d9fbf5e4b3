// Looking at a branch of a real repository, and the end of real release processes.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { lookAtBranch } from '../../../../node/act/builds/branch.ts'
import { runRelease, wordsOf } from '../../../../node/act/builds/release-process.ts'
import { GIT_ENVIRONMENT, TestRepository } from '../../../cli/release/support.ts'

let repository: TestRepository
before(() => {
  repository = new TestRepository()
})
after(() => repository.remove())

const never = new AbortController().signal

describe('lookAtBranch', () => {
  it('tells the commit that a branch is at, and not a tag or a branch whose name ends alike', async () => {
    repository.write('a', '1')
    const commit = repository.commit('first')
    repository.git('branch', 'other/stable')
    repository.commit('second')
    repository.git('branch', 'stable', commit)
    const look = await lookAtBranch(repository.directory, 'stable', GIT_ENVIRONMENT, never)
    assert.deepEqual(look, { kind: 'at', commit })
  })

  it('says why nobody knows: no branch, no repository', async () => {
    const branchless = await lookAtBranch(repository.directory, 'gone', GIT_ENVIRONMENT, never)
    assert.deepEqual(branchless, { kind: 'unknown', reason: `${repository.directory} has no branch gone` })
    const gone = join(repository.base, 'gone')
    const missing = await lookAtBranch(gone, 'main', GIT_ENVIRONMENT, never)
    assert.equal(missing.kind, 'unknown')
    assert.ok(missing.kind === 'unknown' && missing.reason.includes('gone'), JSON.stringify(missing))
  })
})

const shell = (script: string, signal = never) =>
  runRelease({ words: ['/bin/sh', '-c', script], environment: { PATH: process.env['PATH'] ?? '' }, signal })

describe('runRelease', () => {
  it('is over when the program is: done, failed with its last words, or hindered', async () => {
    assert.deepEqual(await shell('exit 0'), { kind: 'released' })
    assert.deepEqual(
      await shell('echo noise >&2; echo "tutti: web: it broke" >&2; echo "  | boom" >&2; exit 1'),
      {
        kind: 'failed',
        message: 'web: it broke',
        output: ['boom'],
      },
    )
    assert.deepEqual(await shell('echo "tutti: no peer answers" >&2; exit 75'), {
      kind: 'hindered',
      reason: 'no peer answers',
    })
    assert.equal((await shell('kill -9 $$')).kind, 'hindered')
  })

  it('runs humbly: niced, and the first to die where memory ends', async () => {
    const end = await shell('sleep 0.1; echo "tutti: $(nice) $(cat /proc/self/oom_score_adj)" >&2; exit 1')
    assert.deepEqual(end, { kind: 'failed', message: '10 500', output: [] })
  })

  it('is ended by its signal', async () => {
    const stop = new AbortController()
    const end = shell('sleep 300', stop.signal)
    stop.abort()
    assert.equal((await end).kind, 'hindered')
  })

  it('reads the last words, of several lines if need be', () => {
    const kept = 'tutti: earlier\n  | x\nnoise\ntutti: last\ncell.yaml:2:1: more\n  | one\n'
    assert.deepEqual(wordsOf(kept), { message: 'last', output: ['cell.yaml:2:1: more', 'one'] })
    assert.equal(wordsOf('').message, 'the release failed without a word')
  })
})
