// A real git repository in a temporary directory, and what a release made of it would be pushed as.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { automaticName } from '../../../cli/package/automatic.ts'
import type { MadeRelease } from '../../../cli/release/make-release.ts'

/** Who commits, without anybody's own configuration. */
export const GIT_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_AUTHOR_DATE: '2031-05-04T10:00:00Z',
  GIT_COMMITTER_DATE: '2031-05-04T10:00:00Z',
}

export class TestRepository {
  readonly base: string
  readonly directory: string

  constructor() {
    this.base = mkdtempSync(join(tmpdir(), 'tutti-git-'))
    this.directory = join(this.base, 'repo')
    mkdirSync(this.directory)
    this.git('init', '--quiet', '--initial-branch=main')
  }

  git(...words: readonly string[]): string {
    return execFileSync('git', words, {
      cwd: this.directory,
      env: GIT_ENVIRONMENT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim()
  }

  write(file: string, text: string, mode = 0o644): void {
    const path = join(this.directory, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    chmodSync(path, mode)
  }

  /** Commits everything there is. Returns the hash. */
  commit(subject: string): string {
    this.git('add', '--all')
    this.git('commit', '--quiet', '--allow-empty', '-m', subject)
    return this.git('rev-parse', 'HEAD')
  }

  /** Worktrees besides the first. */
  worktrees(): number {
    return (
      this.git('worktree', 'list', '--porcelain')
        .split('\n')
        .filter((line) => line.startsWith('worktree ')).length - 1
    )
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true })
  }
}

export interface Pushed {
  readonly name: string
  readonly version: string
  readonly commit: string
  readonly files: readonly string[]
}

/** What a release made, as it would be pushed. */
export const pushedOf = ({ revision, file, artifacts }: MadeRelease): readonly Pushed[] =>
  [...artifacts].map(([service, { manifest }]) => ({
    name: automaticName(file.cell.name, service),
    version: revision.version,
    commit: revision.commit,
    files: manifest.map(({ path }) => path),
  }))
