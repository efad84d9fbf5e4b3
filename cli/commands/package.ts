// `tutti package push|ls|show|rm`: directories as versions that services run from.

import { resolve } from 'node:path'
import { formatDuration, formatSize } from '../../lib/time.ts'
import {
  PACKAGE_NAME_PATTERN,
  PACKAGE_REF_PATTERN,
  PACKAGE_VERSION_PATTERN,
} from '../../crdt/schema/patterns.ts'
import type { ChangeReply } from '../../node/serve/api/contract.ts'
import type {
  PackageContentsReply,
  PackageReply,
  PackagesReply,
} from '../../node/serve/api/contract-packages.ts'
import { requestOf } from '../change-request.ts'
import { clientOf } from '../client.ts'
import { EXIT, UsageError } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { pushPackage } from '../package/push.ts'
import { Progress } from '../progress.ts'
import { cell, counted, harmless, paintFor, short, table } from '../render.ts'
import { isConfirmed, tellFreshness } from '../talk.ts'

export interface PushFlags {
  readonly name: string
  readonly version: string
  readonly copies: number | null
}

const NAME = new RegExp(PACKAGE_NAME_PATTERN)
const VERSION = new RegExp(PACKAGE_VERSION_PATTERN)
const REF = new RegExp(PACKAGE_REF_PATTERN)

const parseRef = (text: string): string => {
  if (REF.test(text)) return text
  throw new UsageError(`'${text}' is not NAME@VERSION; write for example api@1.4.2`)
}

/** `tutti package push DIR --name N --version V` */
export const push = async (context: Context, directory: string, flags: PushFlags): Promise<number> => {
  const { name, version, copies } = flags
  if (!NAME.test(name))
    throw new UsageError(`'${name}' is not a package's name; use lower-case letters, digits and -`)
  if (!VERSION.test(version))
    throw new UsageError(`'${version}' is not a version; use letters, digits and . _ + -, as in 1.4.2`)
  const startMs = performance.now()
  const client = clientOf(context)
  const ref = `${name}@${version}`
  const sink = context.json ? context.io.stderr : context.io.stdout
  const progress = new Progress(sink, paintFor(sink, context.io.environment))
  const pushed = await pushPackage(client, {
    directory: resolve(context.io.directory, directory),
    ref: () => ref,
    copies,
    keep: null,
    tell: (words) => progress.show([{ key: ref, mark: 'waiting', text: words }]),
  })
  const change = await client.post<ChangeReply>(
    '/v1/changes',
    requestOf(context, [pushed.operation], { message: `push ${ref}` }),
  )
  const { packed, sentBytes, holders } = pushed
  const durationMs = Math.round(performance.now() - startMs)
  progress.show([
    {
      key: ref,
      mark: 'done',
      text: harmless(
        `${short(packed.digest)}, ${counted(packed.files, 'file')}, ${formatSize(packed.bytes)}, of which ${formatSize(sentBytes)} were new; on ${holders.join(', ')} after ${formatDuration(durationMs)}`,
      ),
    },
  ])
  if (context.json)
    writeJson(context, {
      ref,
      digest: packed.digest,
      bytes: packed.bytes,
      files: packed.files,
      sentBytes,
      holders,
      change: change.change,
      durationMs,
    })
  return EXIT.done
}

/** `tutti package ls` */
export const list = async (context: Context): Promise<number> => {
  const reply = await clientOf(context).get<PackagesReply>('/v1/packages')
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, environment } = context.io
  const head = ['PACKAGE', 'DIGEST', 'SIZE', 'FILES', 'PUSHED', 'BY', 'COPIES', 'SERVICES']
  const rows = reply.packages.map((each) => [
    cell(each.ref),
    cell(short(each.digest)),
    cell(formatSize(each.bytes)),
    cell(each.files),
    cell(`${formatDuration(Math.max(0, reply.asOf.at - each.at))} ago`),
    cell(each.author),
    cell(copiesOf(each), each.holders.length === 0 ? 'red' : null),
    cell(each.services.length === 0 ? '-' : each.services.join(', ')),
  ])
  stdout.write(table(head, rows, stdout, paintFor(stdout, environment)))
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

const copiesOf = ({ holders, fetching }: PackageReply): string =>
  `${holders.length}${fetching.length === 0 ? '' : `+${fetching.length}`}`

/** `tutti package show NAME@VERSION` */
export const show = async (context: Context, named: string): Promise<number> => {
  const reply = await clientOf(context).get<PackageContentsReply>('/v1/packages/contents', {
    of: parseRef(named),
  })
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  const { package: found, entries, omitted } = reply
  const facts: readonly (readonly [string, string])[] = [
    ['package', found.ref],
    ['digest', found.digest],
    ['size', `${formatSize(found.bytes)} in ${counted(found.files, 'file')}`],
    ['pushed', `${new Date(found.at).toISOString()} on ${found.author}`],
    ...(found.source === null ? [] : [['built from', sourceOf(found.source)] as const]),
    ['copies', found.holders.length === 0 ? 'none that is there' : found.holders.join(', ')],
    ...(found.fetching.length === 0 ? [] : [['on its way', found.fetching.join(', ')] as const]),
    ['services', found.services.length === 0 ? '-' : found.services.join(', ')],
  ]
  const width = Math.max(...facts.map(([name]) => name.length))
  for (const [name, value] of facts) stdout.write(`${paint('dim', name.padEnd(width))}  ${harmless(value)}\n`)
  const rows = entries.map((entry) => [
    cell(entry.kind === 'file' && entry.executable ? 'program' : entry.kind),
    cell(entry.kind === 'file' ? formatSize(entry.bytes) : '-'),
    cell(entry.kind === 'link' ? `${entry.path} -> ${entry.target}` : entry.path),
  ])
  stdout.write(`\n${table(['KIND', 'SIZE', 'PATH'], rows, stdout, paint)}`)
  if (omitted > 0) stdout.write(`and ${omitted} more\n`)
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

const sourceOf = ({ commit, author, at }: NonNullable<PackageReply['source']>): string =>
  `commit ${commit.slice(0, 12)} by ${author} of ${new Date(at).toISOString()}`

/** `tutti package rm NAME@VERSION…` */
export const remove = async (
  context: Context,
  named: readonly string[],
  options: { readonly yes: boolean },
): Promise<number> => {
  const refs = named.map(parseRef)
  const operations = refs.map((ref) => ({ kind: 'remove-package' as const, ref }))
  if (!(await isConfirmed(context, options.yes, `remove ${refs.join(', ')} for good?`))) {
    tell(context, 'nothing was changed')
    return EXIT.failed
  }
  const message = `remove ${counted(refs.length, 'package')}: ${refs.join(', ')}`
  const reply = await clientOf(context).post<ChangeReply>(
    '/v1/changes',
    requestOf(context, operations, { message }),
  )
  if (context.json) writeJson(context, reply)
  else {
    tell(context, `${refs.join(', ')}: removed as change ${short(reply.change ?? '')}`)
    tellFreshness(context, reply.asOf)
  }
  return EXIT.done
}
