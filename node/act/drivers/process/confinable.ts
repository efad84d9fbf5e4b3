// What instances can be confined by on this machine, for the peer to say to the others, so that a slot is placed where its
// user and its isolation can be had. Reads; changes nothing. Whether a given user exists is found out at the start of an
// instance only: nobody else could use the answer.

import { readFileSync } from 'node:fs'
import type { ConfinementFacts } from '../../../../crdt/schema/status.ts'
import { findProgram } from './command.ts'

/** The name that a database gives a number; null: none. */
const nameOf = (database: 'passwd' | 'group', id: number): string | null => {
  try {
    const lines = readFileSync(`/etc/${database}`, 'utf8').split('\n')
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === String(id))?.[0] ?? null
  } catch {
    return null
  }
}

/** All ways to write this process's own user and group as a service's `user`. */
const ownUsersOf = (uid: number, gid: number): readonly string[] => {
  const users = [nameOf('passwd', uid), String(uid)].filter((user) => user !== null)
  const groups = [nameOf('group', gid), String(gid)].filter((group) => group !== null)
  return users.flatMap((user) => [user, ...groups.map((group) => `${user}:${group}`)])
}

/** Looks at the machine each time it is asked; a dozen calls of stat(2), and two small files where the peer is not root. */
export const confinable = (): ConfinementFacts => {
  const uid = process.geteuid?.() ?? 0
  const gid = process.getegid?.() ?? 0
  const isRoot = uid === 0
  return {
    sandboxLack: findProgram('bwrap') === null ? 'bubblewrap is not installed' : '',
    userLack: !isRoot
      ? 'its peer does not run as root'
      : findProgram('setpriv') === null
        ? 'setpriv is not installed'
        : '',
    ownUsers: isRoot && findProgram('setpriv') !== null ? [] : [...ownUsersOf(uid, gid)],
  }
}
