// The way to a package, and to the directory that its instance writes to, for who runs as another user than the peer: they are
// open to that user, but the data directory that they lie in is the peer's alone. It is made passable and stays unreadable: who does not know a name in it finds nothing, and what
// lies there is closed by its own mode. What is above it is not the peer's to change.

import { chmod, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TuttiError } from '../../../../lib/errors.ts'

/** `packages/trees` or `instances/work`, and the data directory itself. */
const OWN_LEVELS = 3
const PASS_BITS = 0o011
const OTHERS_PASS = 0o001

/** @throws TuttiError `refused` when a directory above the data directory cannot be passed by that user. */
export const openWayTo = async (target: string, user: string, peer: string): Promise<void> => {
  let directory = dirname(target)
  for (let level = 0; level < OWN_LEVELS; level += 1, directory = dirname(directory)) {
    const { mode } = await stat(directory)
    if ((mode & PASS_BITS) !== PASS_BITS) await chmod(directory, (mode & 0o777) | PASS_BITS)
  }
  for (; ; directory = dirname(directory)) {
    const { mode } = await stat(directory)
    if ((mode & OTHERS_PASS) === 0)
      throw new TuttiError(
        'refused',
        `user '${user}' cannot pass ${directory} on peer '${peer}', and what it needs lies below it; chmod o+x ${directory}, or keep the peer's data elsewhere (--data)`,
      )
    if (directory === dirname(directory)) return
  }
}
