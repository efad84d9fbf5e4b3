// The repository that a release is made from: the one around the cell file, one named by `--repo`, or one fetched from a
// URL into a bare clone. Finds it and where the cell file is in it; what is in there, others read.

import { mkdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import { EXIT, Failure, UsageError } from '../exit.ts'
import { Git, GitFailure, type Environment } from './git.ts'

export interface Repository {
  /** Runs in the working tree, or in the bare repository. */
  readonly git: Git
  /** The cell file, or its directory, relative to the root of the repository. */
  readonly file: string
  /** Nobody works in it: there is nothing that could be uncommitted. */
  readonly isBare: boolean
  /** Absolute; git's own directory, where a release keeps its output. */
  readonly gitDirectory: string
}

export interface RepositoryOptions {
  /** `--file`. */
  readonly file: string
  /** `--repo`: a directory or a URL; null: around the file. */
  readonly repo: string | null
  /** What relative paths are relative to. */
  readonly directory: string
  readonly environment: Environment
  readonly signal: AbortSignal
  /** Where a repository is fetched to; with one, any repository is fetched and never worked in. Null: only URLs are. */
  readonly clones: string | null
  /** Where a URL is fetched to when nobody gave a place. */
  readonly temporary: () => string
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** `https://…`, `ssh://…`, `git@host:path`. */
export const isUrl = (repo: string): boolean => /^[a-z][a-z0-9+.-]*:\/\/|^[^/]+@[^/]+:/i.test(repo)

/** @throws Failure when there is none; UsageError for a file that is outside of it. */
export const openRepository = async (options: RepositoryOptions): Promise<Repository> => {
  const { repo, directory, environment, signal, file, clones } = options
  if (repo === null) return await around(resolve(directory, file), options)
  if (clones === null && !isUrl(repo)) {
    const root = resolve(directory, repo)
    if (!isDirectory(root)) throw new UsageError(`repository ${repo} does not exist; check the path`)
    return await described(new Git(root, environment, signal), withinRepository(file))
  }
  const place = join(clones ?? options.temporary(), 'repository.git')
  mkdirSync(place, { recursive: true, mode: 0o700 })
  const git = new Git(place, environment, signal)
  await fetched(git, isUrl(repo) ? repo : resolve(directory, repo))
  return await described(git, withinRepository(file))
}

/** All branches and tags, since a version is told from tags. @throws TuttiError `unreachable`. */
const fetched = async (git: Git, url: string): Promise<void> => {
  try {
    await git.run('init', '--quiet', '--bare')
    const all = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*']
    await git.run('fetch', '--quiet', '--prune', '--force', '--no-tags', '--', url, ...all)
  } catch (thrown) {
    if (!(thrown instanceof GitFailure)) throw thrown
    throw new TuttiError('unreachable', `${url} cannot be fetched: ${messageOf(thrown)}`, { cause: thrown })
  }
}

const withinRepository = (file: string): string => {
  const path = relative('/', resolve('/', file))
  if (!isAbsolute(file)) return path
  throw new UsageError(
    `with --repo the file is looked up in the repository; write ${path} instead of ${file}`,
  )
}

const around = async (path: string, options: RepositoryOptions): Promise<Repository> => {
  const { environment, signal, file } = options
  // The file may be of an earlier commit only: its nearest directory that exists now is where git is asked.
  let place = path
  while (!isDirectory(place) && dirname(place) !== place) place = dirname(place)
  const root = await new Git(place, environment, signal).ask('rev-parse', '--show-toplevel')
  if (root === null || root === '') {
    const next = 'a release is made of a commit; git init and commit it, or use tutti apply'
    throw new Failure(EXIT.failed, `${file} is in no git repository; ${next}`)
  }
  // Git names its root without symbolic links.
  const real = join(realpathSync(place), relative(place, path))
  return await described(new Git(root, environment, signal), relative(root, real) || '.')
}

const described = async (git: Git, file: string): Promise<Repository> => {
  const isBare = await git.ask('rev-parse', '--is-bare-repository')
  if (isBare === null) throw new Failure(EXIT.failed, `${git.directory} is no git repository; check the path`)
  const gitDirectory = await git.run('rev-parse', '--path-format=absolute', '--git-common-dir')
  return { git, file, isBare: isBare === 'true', gitDirectory }
}
