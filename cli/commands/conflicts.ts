// `tutti conflicts`: concurrent edits of one field, the value that won and the one that lost.

import type { ConflictsReply } from '../../node/serve/api/contract.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { writeJson, type Context } from '../io.ts'
import { cell, paintFor, short, table } from '../render.ts'
import { tellFreshness } from '../talk.ts'

/** `tutti conflicts` */
export const listConflicts = async (context: Context): Promise<number> => {
  const reply = await clientOf(context).get<ConflictsReply>('/v1/conflicts')
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, stderr, environment } = context.io
  if (reply.conflicts.length === 0) stderr.write('no conflicts\n')
  else {
    const head = ['FIELD', 'IN FORCE', 'LOST', 'BY', 'AT', 'CHANGE']
    const rows = reply.conflicts.map(({ path, winner, value, author, at, change }) => [
      cell(path),
      cell(winner, 'green'),
      cell(value, 'yellow'),
      cell(author),
      cell(new Date(at).toISOString()),
      cell(short(change)),
    ])
    stdout.write(table(head, rows, stdout, paintFor(stdout, environment)))
    stderr.write('write the field anew, with tutti apply or tutti scale, to resolve a conflict\n')
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}
