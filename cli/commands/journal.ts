// `tutti doctor --journal FILE`: writes what went into the last decisions of a peer to a file, for whoever has to find out
// why it decided so. Asks the peer and writes; what is in it is the peer's (node/agent/journal-text.ts).

import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { JournalReply } from '../../node/serve/api/contract-doctor.ts'
import { Client, clientOf } from '../client.ts'
import { socketOf } from '../default-data.ts'
import { EXIT } from '../exit.ts'
import { writeJson, type Context } from '../io.ts'
import { counted } from '../render.ts'

export interface JournalOptions {
  readonly data: string | undefined
  /** Where to write it; one that is there is replaced. */
  readonly file: string
}

/** Commands and environments of services are in it: nobody else's to read. */
const MODE = 0o600

/** `tutti doctor --journal FILE` */
export const writeJournal = async (context: Context, { data, file }: JournalOptions): Promise<number> => {
  const { io } = context
  const client =
    data === undefined
      ? clientOf(context)
      : new Client({ kind: 'socket', path: socketOf(resolve(io.directory, data)) }, null)
  const { lines } = await client.get<JournalReply>('/v1/journal')
  const path = resolve(io.directory, file)
  try {
    await writeFile(path, `${lines.join('\n')}\n`, { mode: MODE })
  } catch (cause) {
    throw new TuttiError('storage', `${path} could not be written: ${messageOf(cause)}`, { cause })
  }
  const passes = Math.max(0, lines.length - 1)
  if (context.json) writeJson(context, { file: path, passes })
  else
    io.stdout.write(
      `${counted(passes, 'decision')} written to ${path}; it holds the environment of services, so mind who gets it\n`,
    )
  return EXIT.done
}
