// Which numbers a user's name stands for on this machine: `www`, `www:adm`, `1000`, `1000:1000`, as Compose writes them.
// The local files are read first; `getent` is asked for what a directory service may know. Changes nothing.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { TuttiError } from '../../../../lib/errors.ts'

/** A user as the kernel knows it. */
export interface Account {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups; the primary one may be among them. */
  readonly groups: readonly number[]
  /** Null: a number that the machine has no name for. */
  readonly name: string | null
  /** Null: not known. */
  readonly home: string | null
}

const run = promisify(execFile)

type Database = 'passwd' | 'group'

/** Lines of a database, split into their fields. */
const entriesOf = async (database: Database): Promise<readonly (readonly string[])[]> => {
  try {
    return (await readFile(`/etc/${database}`, 'utf8')).split('\n').map((line) => line.split(':'))
  } catch {
    return []
  }
}

const asked = async (database: Database, key: string): Promise<readonly string[] | null> => {
  try {
    const { stdout } = await run('getent', [database, key])
    return stdout.trim().split(':')
  } catch {
    // Not known there either, or a system without getent.
    return null
  }
}

/** One entry by its name (field 0) or number (field 2). */
const find = async (database: Database, key: string): Promise<readonly string[] | null> => {
  const field = /^\d+$/.test(key) ? 2 : 0
  return (await entriesOf(database)).find((entry) => entry[field] === key) ?? (await asked(database, key))
}

/** @throws TuttiError `unknown` when the user or the group does not exist here. */
export const accountOf = async (user: string, peer: string): Promise<Account> => {
  const [who = '', group] = user.split(':')
  const entry = await find('passwd', who)
  const [name = null, , uid, primary, , home = null] = entry ?? []
  if (entry === null && !/^\d+$/.test(who)) {
    throw new TuttiError(
      'unknown',
      `user '${who}' does not exist on peer '${peer}'; create it there or change user`,
    )
  }
  let gid = Number(primary ?? 0)
  if (group !== undefined) {
    const found = await find('group', group)
    if (found === null && !/^\d+$/.test(group)) {
      throw new TuttiError(
        'unknown',
        `group '${group}' does not exist on peer '${peer}'; create it there or change user`,
      )
    }
    gid = Number(found?.[2] ?? group)
  }
  const memberships = (await entriesOf('group'))
    .filter(([, , , members = '']) => name !== null && members.split(',').includes(name))
    .map(([, , id]) => Number(id))
  // Docker's rule: a group that is named explicitly is the only one.
  const groups = group === undefined ? memberships : []
  return { uid: Number(uid ?? who), gid, groups, name, home }
}
