// A release from a commit, up to the point where the cluster hears of it: the cell as the file of that very commit has it, and
// every package of it made and tested. What is pushed already is not made again. Deliberately absent: pushing, the change
// itself, and what people are asked about it (commands/release.ts).

import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TuttiError } from '../../lib/errors.ts'
import type { Build } from '../cell-file/build.ts'
import { checkLimits, loadCellFile, type CellFile } from '../cell-file/read.ts'
import { EXIT, Failure } from '../exit.ts'
import { automaticName } from '../package/automatic.ts'
import { makeArtifacts, type Artifacts } from './artifact.ts'
import type { Environment } from './git.ts'
import { openRepository, type Repository } from './repository.ts'
import { revisionOf, uncommitted, type Revision } from './revision.ts'
import { withWorktree } from './worktree.ts'

export interface ReleaseOptions {
  /** The cell file, or the directory it is in. */
  readonly file: string
  /** Null: around the file. */
  readonly repo: string | null
  readonly rev: string
  readonly allowDirty: boolean
  /** Where a repository is fetched to and stays; null: a URL is fetched into a temporary directory. */
  readonly work: string | null
}

export interface Surroundings {
  readonly directory: string
  readonly environment: Environment
  readonly signal: AbortSignal
  /** Where commits are checked out. */
  readonly base: string
  /** A directory for what goes with this command. */
  readonly temporary: () => string
  /** The reference of a package that is pushed already, made from that commit; null: there is none. @throws TuttiError. */
  readonly find: (name: string, version: string, commit: string) => Promise<string | null>
  /** Shows what is done, or a line of a service's build. */
  readonly show: (service: string | null, line: string) => void
  readonly warn: (sentence: string) => void
}

export interface MadeRelease {
  readonly revision: Revision
  readonly file: CellFile
  /** By service: the reference of its package, which is pushed already. */
  readonly present: ReadonlyMap<string, string>
  /** By service: its package, which is not. */
  readonly artifacts: Artifacts
}

/** Of the output of earlier builds, so much is kept. */
const LOGS_KEPT = 40
/** Names in one sentence. */
const FILES_SHOWN = 5

/**
 * Makes a release and hands it to `use`; its files are gone when that is done. @throws Failure in one sentence when the tree is
 * dirty or a build fails; UsageError, TuttiError as the cell file and the cluster have it. Then `use` was not called.
 */
export const makeRelease = async <T>(
  options: ReleaseOptions,
  surroundings: Surroundings,
  use: (made: MadeRelease) => Promise<T>,
): Promise<T> => {
  const { directory, environment, signal, temporary, base, find, show } = surroundings
  const { file, repo, rev, work } = options
  const repository = await openRepository({
    file,
    repo,
    directory,
    environment,
    signal,
    clones: work,
    temporary,
  })
  if (!options.allowDirty && !repository.isBare) await requireClean(repository)
  const revision = await revisionOf(repository.git, rev)
  show(null, `${revision.version}: ${revision.subject}`)
  return await withWorktree(repository.git, revision.commit, base, async (workplace) => {
    const read = cellFileOf(repository, revision, workplace.checkout, environment)
    await checkLimits(read)
    for (const warning of read.warnings) surroundings.warn(warning)
    const logs = join(repository.gitDirectory, 'tutti')
    const present = new Map<string, string>()
    const missing = new Map<string, Build>()
    for (const [service, build] of read.builds) {
      const ref = await find(automaticName(read.cell.name, service), revision.version, revision.commit)
      if (ref === null) missing.set(service, build)
      else {
        present.set(service, ref)
        show(service, `${revision.version} is pushed already`)
      }
    }
    // All are made and tested before the first is pushed: what fails, fails before anything is told to anybody.
    const artifacts = await makeArtifacts(missing, { workplace, revision, environment, logs, signal, show })
    await forgetLogs(logs)
    return await use({ revision, file: read, present, artifacts })
  })
}

const requireClean = async ({ git }: Repository): Promise<void> => {
  const files = await uncommitted(git)
  if (files.length === 0) return
  const shown = files.slice(0, FILES_SHOWN).join(', ')
  const more = files.length > FILES_SHOWN ? ` and ${files.length - FILES_SHOWN} more` : ''
  const next = 'commit or stash that, or release what is committed with --allow-dirty'
  throw new Failure(EXIT.failed, `not committed: ${shown}${more}; ${next}`)
}

const cellFileOf = (
  { file }: Repository,
  { version }: Revision,
  checkout: string,
  environment: Environment,
): CellFile => {
  if (!existsSync(join(checkout, file)))
    throw new Failure(EXIT.failed, `${version} has no ${file}; commit it, or name another file with -f`)
  const read = loadCellFile(file, checkout, environment)
  const stray = read.cell.services.find(({ workingDir }) => workingDir?.startsWith(checkout) === true)
  if (stray !== undefined) {
    const next = 'add build: to have it packed, or name a directory of the peers'
    throw new TuttiError(
      'invalid',
      `services.${stray.name}.working_dir: it is in the repository, and only packages get to the peers; ${next}`,
    )
  }
  return read
}

/** The newest output is what anybody looks at. */
const forgetLogs = async (logs: string): Promise<void> => {
  const names = await readdir(logs).catch(() => [])
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith('.log'))
      .map(async (name) => {
        const path = join(logs, name)
        return { path, at: (await stat(path).catch(() => null))?.mtimeMs ?? 0 }
      }),
  )
  const old = found.toSorted((a, b) => b.at - a.at).slice(LOGS_KEPT)
  await Promise.all(old.map(({ path }) => rm(path, { force: true })))
}
