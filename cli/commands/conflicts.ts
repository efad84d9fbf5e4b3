// `tutti conflicts` and `tutti resolve`: concurrent edits of one field, the value that won and the ones that lost, each with
// who wrote it and when; and the edit that settles one.

import type { ConflictsReply } from '../../node/serve/api/contract.ts'
import { clientOf } from '../client.ts'
import { EXIT, UsageError } from '../exit.ts'
import { shownValue } from '../shown-value.ts'
import { writeJson, type Context } from '../io.ts'
import { harmless, paintFor, short, timeText, type Paint } from '../render.ts'
import { tellFreshness } from '../talk.ts'
import { change } from './edit.ts'

type Conflict = ConflictsReply['conflicts'][number]

/** `tutti conflicts` */
export const listConflicts = async (context: Context): Promise<number> => {
  const reply = await clientOf(context).get<ConflictsReply>('/v1/conflicts')
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, stderr, environment } = context.io
  const paint = paintFor(stdout, environment)
  if (reply.conflicts.length === 0) stderr.write('no conflicts\n')
  let path = ''
  for (const conflict of reply.conflicts) {
    if (conflict.path !== path) stdout.write(holdsText(conflict, paint))
    path = conflict.path
    stdout.write(lostText(conflict, paint))
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

/** The field and what holds. */
const holdsText = (
  { path, winner, winnerAuthor, winnerAt, winnerChange }: Conflict,
  paint: Paint,
): string => {
  const by = winnerAuthor === undefined ? '' : byText(winnerAuthor, winnerAt ?? 0, winnerChange ?? '')
  return `${paint('bold', harmless(path))}\n  ${paint('green', harmless(shownValue(path, winner)))} holds${harmless(by)}\n`
}

/** One value that lost, and what to do about it. */
const lostText = ({ path, value, author, at, change, settle }: Conflict, paint: Paint): string => {
  const lines = [
    `  ${paint('yellow', harmless(shownValue(path, value)))} lost${harmless(byText(author, at, change))}`,
  ]
  if (settle === '')
    lines.push(`    to bring its service back: tutti rollback ${serviceOf(path)} ${short(change)}`)
  else if (settle !== undefined)
    lines.push(
      `    to keep what holds: ${settle}`,
      `    to take this one:   ${settle} --take ${short(change)}`,
    )
  return `${lines.map((line) => paint(line.startsWith('    ') ? 'dim' : null, line)).join('\n')}\n`
}

const byText = (author: string, at: number, change: string): string =>
  `, written by ${author} at ${timeText(at)} (change ${short(change)})`

const serviceOf = (path: string): string => harmless(path.split(' ')[0] ?? '')

/** `tutti resolve FIELD [--take CHANGE]` */
export const resolveConflict = async (
  context: Context,
  words: readonly string[],
  take: string | undefined,
): Promise<number> => {
  const path = words.join(' ')
  if (take !== undefined && !/^[0-9a-f]{4,64}$/.test(take))
    throw new UsageError(`'${take}' is no change; write the start of one that tutti conflicts names`)
  const operation = { kind: 'resolve', path, ...(take === undefined ? {} : { take }) } as const
  return change(context, clientOf(context), `resolve ${path}`, [operation], null)
}
