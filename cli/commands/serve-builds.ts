// `tutti serve-builds`: gives the cluster the duty to follow a branch, lists such duties, takes them back. Whoever builds is
// chosen by the peers; this file only edits and shows.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { BuildDutiesReply, ChangeReply, Operation } from '../../node/serve/api/contract.ts'
import { formatDuration } from '../../lib/time.ts'
import { suggestion } from '../cell-file/problem.ts'
import { nameFrom } from '../cell-file/service.ts'
import { requestOf } from '../change-request.ts'
import { clientOf } from '../client.ts'
import { EXIT, UsageError } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { isUrl } from '../release/repository.ts'
import { cell, harmless, paintFor, short, table } from '../render.ts'
import { tellFreshness, warn } from '../talk.ts'

export interface FollowOptions {
  readonly branch: string
  readonly file: string
  readonly everyMs: number
  /** Null: after the repository. */
  readonly name: string | null
}

type Duty = BuildDutiesReply['duties'][number]

const edit = async (context: Context, operation: Operation, done: string): Promise<number> => {
  const reply = await clientOf(context).post<ChangeReply>('/v1/changes', requestOf(context, [operation], {}))
  if (context.json) writeJson(context, reply)
  else {
    tell(context, reply.change === null ? 'nothing to change' : `${done} (change ${short(reply.change)})`)
    tellFreshness(context, reply.asOf)
  }
  return EXIT.done
}

/** `shop` of `https://git.example.org/team/shop.git`. */
export const dutyNameOf = (repository: string): string =>
  nameFrom(
    repository
      .replace(/\/+$/, '')
      .replace(/\.git$/, '')
      .split(/[/:]/)
      .at(-1) ?? '',
  )

/** `tutti serve-builds REPO` */
export const followBranch = async (
  context: Context,
  repo: string,
  options: FollowOptions,
): Promise<number> => {
  const repository = isUrl(repo) ? repo : resolve(context.io.directory, repo)
  const name = options.name ?? dutyNameOf(repository)
  if (name === '') throw new UsageError(`'${repo}' gives no name; add --name`)
  if (!isUrl(repo)) {
    if (!existsSync(repository))
      throw new UsageError(`repository ${repo} does not exist; give a URL or a path`)
    warn(context, `${repository} is a path, so only peers on machines that have it can build from it`)
  }
  if (options.name === null) await requireSame(context, name, repository)
  const { branch, file, everyMs } = options
  const operation: Operation = { kind: 'set-build-duty', name, duty: { repository, branch, file, everyMs } }
  return await edit(
    context,
    operation,
    `${name}: ${branch} of ${repository} is built and released from now on`,
  )
}

/** Two repositories are called alike more often than one moves. @throws UsageError. */
const requireSame = async (context: Context, name: string, repository: string): Promise<void> => {
  const { duties } = await clientOf(context).get<BuildDutiesReply>('/v1/build-duties')
  const present = duties.find((duty) => duty.name === name)
  if (present === undefined || present.repository === repository) return
  const next = `choose another with --name, or say --name ${name} to follow this one instead`
  throw new UsageError(`${name} follows ${present.repository} already; ${next}`)
}

/** `tutti serve-builds rm NAME` */
export const forgetBranch = async (context: Context, name: string): Promise<number> =>
  await edit(context, { kind: 'remove-build-duty', name }, `${name} is not built any more; what runs goes on`)

/** `tutti serve-builds retry NAME` */
export const retryBranch = async (context: Context, name: string): Promise<number> =>
  await edit(context, { kind: 'retry-build', name }, `${name} is built again`)

const stateOf = ({ state, reason }: Duty): string =>
  state === 'building' ? `building ${short(reason)}` : state

const lastOf = ({ outcome }: Duty): string =>
  outcome === null
    ? '-'
    : `${outcome.version === '' ? short(outcome.commit) : outcome.version} ${outcome.kind}`

/** `tutti serve-builds ls [NAME]` */
export const listDuties = async (context: Context, name: string | undefined): Promise<number> => {
  const reply = await clientOf(context).get<BuildDutiesReply>('/v1/build-duties')
  const duties = reply.duties.filter((duty) => name === undefined || duty.name === name)
  if (name !== undefined && duties.length === 0) {
    const near = suggestion(
      name,
      reply.duties.map((duty) => duty.name),
    )
    throw new UsageError(`there is no build duty ${name}${near || '; see tutti serve-builds ls'}`)
  }
  if (context.json) {
    writeJson(context, { ...reply, duties })
    return EXIT.done
  }
  const { stdout, stderr, environment } = context.io
  if (duties.length === 0)
    stderr.write('no branch is followed; begin with tutti serve-builds REPO --branch main\n')
  else {
    const head = ['NAME', 'BRANCH', 'EVERY', 'STEWARD', 'STATE', 'LAST', 'REPOSITORY']
    const rows = duties.map((duty) => [
      cell(duty.name),
      cell(duty.branch),
      cell(formatDuration(duty.everyMs)),
      cell(duty.steward ?? '-'),
      cell(stateOf(duty), duty.state === 'watching' ? 'green' : duty.state === 'building' ? 'yellow' : 'red'),
      cell(lastOf(duty)),
      cell(duty.repository),
    ])
    stdout.write(table(head, rows, stdout, paintFor(stdout, environment)))
    for (const duty of duties) stdout.write(troubleOf(duty))
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

const troubleOf = ({ name, state, reason, outcome, hindered }: Duty): string => {
  const lines: string[] = []
  if (state === 'failed' || (state === 'hindered' && hindered.length === 0)) lines.push(`${name}: ${reason}`)
  if (state === 'failed') lines.push(...(outcome?.output ?? []).map((line) => `  | ${line}`))
  if (state === 'failed')
    lines.push(`  a new commit is built; the same one after tutti serve-builds retry ${name}`)
  for (const one of hindered) lines.push(`${name}: ${one.peer} cannot build: ${one.reason}`)
  return lines.map((line) => `${harmless(line)}\n`).join('')
}
