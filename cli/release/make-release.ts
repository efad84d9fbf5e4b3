// A release from a commit, up to the point where the cluster is asked to change: the cell as the file of that very commit
// has it, with every package that it names by a build made, tested and pushed. What is pushed already is not made again.
// Deliberately absent: the change itself and what people are asked about it (commands/release.ts).

import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TuttiError } from '../../lib/errors.ts'
import type { CellSpec } from '../../crdt/schema/service.ts'
import type { Build } from '../cell-file/build.ts'
import { loadCellFile, type CellFile } from '../cell-file/read.ts'
import { EXIT, Failure } from '../exit.ts'
import { makeArtifacts } from './artifact.ts'
import type { Environment } from './git.ts'
import { openRepository, type Repository } from './repository.ts'
import { revisionOf, uncommitted, type Revision } from './revision.ts'
import { withWorktree } from './worktree.ts'

/** The commit that a package was made from; kept in its record and not in its bytes, which are the same for the same content. */
export interface Source {
  readonly commit: string
  /** Of the commit: `Name <address>`. */
  readonly author: string
  /** When it was committed, wall time in milliseconds. */
  readonly at: number
}

/** What of the cluster's packages a release needs. */
export interface Publisher {
  /** The reference by which a service runs from that version; null: it has not been pushed. @throws TuttiError. */
  find(name: string, version: string): Promise<string | null>
  /** Pushes a directory. Returns its reference. @throws TuttiError. */
  push(directory: string, name: string, version: string, source: Source): Promise<string>
}

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
  readonly publisher: Publisher
  /** Shows what is done, or a line of a service's build. */
  readonly show: (service: string | null, line: string) => void
  readonly warn: (sentence: string) => void
}

export interface MadeRelease {
  readonly revision: Revision
  /** With the reference of its package for every service that is built. */
  readonly cell: CellSpec
  /** References of the packages of the release, by service. */
  readonly packages: ReadonlyMap<string, string>
}

/** Of the output of earlier builds, so much is kept. */
const LOGS_KEPT = 40
/** Names in one sentence. */
const FILES_SHOWN = 5

/**
 * Makes a release. @throws Failure in one sentence when the tree is dirty or a build fails; UsageError, TuttiError as the
 * cell file and the cluster have it. Then nothing was applied.
 */
export const makeRelease = async (
  options: ReleaseOptions,
  surroundings: Surroundings,
): Promise<MadeRelease> => {
  const { directory, environment, signal, temporary, base } = surroundings
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
  surroundings.show(null, `${revision.version}: ${revision.subject}`)
  return await withWorktree(repository.git, revision.commit, base, async (workplace) => {
    const read = cellFileOf(repository, revision, workplace.checkout, environment)
    for (const warning of read.warnings) surroundings.warn(warning)
    const logs = join(repository.gitDirectory, 'tutti')
    const { publisher, show } = surroundings
    const packages = new Map<string, string>()
    const missing = new Map<string, Build>()
    for (const [service, build] of read.builds) {
      const present = await publisher.find(packageNameOf(read.cell.name, service), revision.version)
      if (present === null) missing.set(service, build)
      else {
        packages.set(service, present)
        show(service, `${revision.version} is pushed already`)
      }
    }
    const artifacts = await makeArtifacts(missing, { workplace, revision, environment, logs, signal, show })
    await forgetLogs(logs)
    // All are made and tested before the first is pushed: what fails, fails before anything is told to anybody.
    for (const [service, artifact] of artifacts) {
      const { commit, author, at } = revision
      const name = packageNameOf(read.cell.name, service)
      packages.set(service, await publisher.push(artifact, name, revision.version, { commit, author, at }))
    }
    return { revision, cell: withPackages(read.cell, packages), packages }
  })
}

/** `shop-web`: what the package of a service is called. */
export const packageNameOf = (cell: string, service: string): string => `${cell}-${service}`.slice(0, 63)

const withPackages = (cell: CellSpec, _packages: ReadonlyMap<string, string>): CellSpec => cell

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
