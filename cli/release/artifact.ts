// From a checked out commit to artifacts: runs each build, packs what it left, and tests that in a copy of its own, so that
// nothing around it helps. Builds that are the same are made once. Nothing leaves the machine here.

import { mkdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { TuttiError } from '../../lib/errors.ts'
import type { Build, Builds } from '../cell-file/build.ts'
import { packDirectory, type Packed } from '../package/pack.ts'
import { EXIT, Failure } from '../exit.ts'
import { withoutRepository, type Environment } from './git.ts'
import { RELEASE_MARK } from '../../lib/release-mark.ts'
import type { Revision } from './revision.ts'
import { runCommand } from './run-command.ts'
import { unpackInto } from './unpack.ts'
import type { Workplace } from './worktree.ts'

export interface BuildingOptions {
  readonly workplace: Workplace
  readonly revision: Revision
  readonly environment: Environment
  /** The directory in which the output of builds is kept. */
  readonly logs: string
  readonly signal: AbortSignal
  /** Shows one line of a build's output, or what is being done. */
  readonly show: (service: string, line: string) => void
}

/** By service: its package. The files are in the worktree. */
export type Artifacts = ReadonlyMap<string, Packed>

/**
 * Makes and tests the artifacts of these services. @throws Failure with one sentence and the last lines of the output when
 * a build or a test fails; TuttiError `invalid` for a build that leaves the commit's files.
 */
export const makeArtifacts = async (builds: Builds, options: BuildingOptions): Promise<Artifacts> => {
  const made = new Map<string, Packed>()
  const artifacts = new Map<string, Packed>()
  await mkdir(options.logs, { recursive: true, mode: 0o700 })
  for (const [service, build] of builds) {
    const same = JSON.stringify(build)
    const artifact = made.get(same) ?? (await makeArtifact(service, build, options))
    made.set(same, artifact)
    artifacts.set(service, artifact)
  }
  return artifacts
}

/**
 * What builds and tests get: this process's environment without what is tutti's own secret, and what names the commit.
 * SOURCE_DATE_EPOCH lets tools write the same bytes for the same commit (reproducible-builds.org).
 */
export const buildEnvironment = (
  environment: Environment,
  { commit, version, at }: Revision,
  directory: string,
): Environment => ({
  ...Object.fromEntries(
    Object.entries(withoutRepository(environment)).filter(([name]) => !name.startsWith('TUTTI_')),
  ),
  SOURCE_DATE_EPOCH: String(Math.floor(at / 1000)),
  TUTTI_COMMIT: commit,
  TUTTI_VERSION: version,
  [RELEASE_MARK]: directory,
})

const makeArtifact = async (service: string, build: Build, options: BuildingOptions): Promise<Packed> => {
  const { workplace, show } = options
  await requireWithin(service, 'context', build.context, workplace)
  if (build.command !== null) {
    show(service, `building ${options.revision.version}`)
    await run(service, 'the build', build.command, build.context, build.timeoutMs, options)
  }
  await requireWithin(service, 'output', build.output, workplace)
  const packed = await packDirectory(build.output)
  if (packed.files === 0)
    throw new Failure(EXIT.failed, `services.${service}.build: the build left nothing in its output`)
  if (build.verify !== null) {
    show(service, 'testing the artifact')
    const copy = join(workplace.directory, `artifact-${packed.digest.slice(0, 12)}`)
    await unpackInto(copy, packed)
    await run(service, 'its test', build.verify, copy, build.timeoutMs, options)
  }
  return packed
}

/** @throws TuttiError `invalid` for a directory that is missing or outside of the checkout. */
const requireWithin = async (
  service: string,
  key: 'context' | 'output',
  path: string,
  { checkout }: Workplace,
): Promise<void> => {
  const shown = relative(checkout, path) || '.'
  const where = `services.${service}.build.${key}`
  if (shown === '..' || shown.startsWith(`..${sep}`))
    throw new TuttiError('invalid', `${where}: ${shown} is outside of the repository; move it into it`)
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory() === true) return
  const next = key === 'context' ? 'is it committed?' : 'does the build make it?'
  throw new Failure(EXIT.failed, `${where}: there is no directory ${shown} in this commit; ${next}`)
}

const run = async (
  service: string,
  what: string,
  words: readonly string[],
  directory: string,
  timeoutMs: number,
  options: BuildingOptions,
): Promise<void> => {
  const { revision, workplace, environment, logs, signal, show } = options
  const log = join(logs, `${revision.version}-${service}.log`)
  const end = await runCommand({
    words,
    directory,
    environment: { ...buildEnvironment(environment, revision, workplace.directory), PWD: directory },
    timeoutMs,
    log,
    signal,
    show: (line) => show(service, line),
  })
  if (end.kind === 'interrupted') throw new Failure(EXIT.interrupted, 'interrupted; nothing was changed')
  if (end.kind === 'done') return
  const lines = end.lastLines.map((line) => `\n  | ${line}`).join('')
  const sentence = `${service}: ${what} of ${revision.version} ${end.why}; nothing was changed, and all of its output is in ${log}`
  throw new Failure(EXIT.failed, `${sentence}${lines}`)
}
