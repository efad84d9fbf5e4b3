// The way into a running instance for somebody else's command: its control groups and limits, its sandbox, its user and its
// environment, as the words that go before the command. What joins the groups is killed with them. Runs nothing itself.

import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { TuttiError } from '../../../../lib/errors.ts'
import type { Entrance } from '../../../ports.ts'
import { findProgram } from './command.ts'
import { findProcesses } from './group.ts'
import { environmentOf, namespacePidsOf } from './identity.ts'
import { SANDBOX_CAPABILITIES } from './sandbox.ts'
import type { Run } from './run.ts'
import { TIME_VARIABLE } from './shim-time.ts'
import { SHELL } from './spawner.ts'

/** Into a run; `directory` is its working directory. @throws TuttiError `conflict`: it has ended, or is not up yet. */
export const entranceOf = (run: Run, directory: string, peer: string): Entrance => {
  const { become, isSandboxed } = run.confined
  const prelude = [isProtected() ? UNPROTECT : '', run.confined.joins, run.confined.prelude]
    .filter((words) => words !== '')
    .join(' && ')
  // The shim's environment is the instance's, as it was given; the program itself may have changed its own.
  const given = environmentOf(run.shim.pid)
  if (given === null) throw new TuttiError('conflict', `${run.record.slot} does not run on peer '${peer}'`)
  const { [TIME_VARIABLE]: _, ...environment } = given
  const joins = prelude === '' ? [] : [SHELL, '-c', `${prelude} && exec "$@"`, SHELL]
  const inside = isSandboxed ? sandboxEntry(run, directory, become.length > 0, peer) : []
  return { prefix: [...joins, ...inside, ...become], environment, directory, ownFiles: isSandboxed }
}

// As the shim does for instances: what a service manager gives the peer is not for what it starts.
const UNPROTECT = 'echo 0 >/proc/self/oom_score_adj'

/** Whether this peer is kept from the kernel's memory killer (`OOMScoreAdjust=`), and so would be whatever it forks. */
const isProtected = (): boolean => {
  try {
    return Number(readFileSync('/proc/self/oom_score_adj', 'latin1')) < 0
  } catch {
    return false
  }
}

/** Words that enter the sandbox, with no more rights than the program has in there. */
const sandboxEntry = (run: Run, directory: string, changesUser: boolean, peer: string): readonly string[] => {
  const pid = candidatesOf(run).find((each) => {
    const [, inner, ...deeper] = namespacePidsOf(each)
    // 1 is the sandbox's own. Further namespaces are the program's affair.
    return inner !== undefined && inner !== 1 && deeper.length === 0
  })
  if (pid === undefined)
    throw new TuttiError('conflict', `${run.record.slot} is not up yet on peer '${peer}'; try again`)
  const nsenter = installed('nsenter', peer)
  // Without root a sandbox lies in a user namespace of its own, whose owner may enter it.
  const ownUsers = namespaceOf(pid, 'user') !== namespaceOf('self', 'user')
  const users = ownUsers ? ['--user', '--preserve-credentials'] : []
  const isRoot = process.geteuid?.() === 0
  // A program of another user loses everything anyway.
  const rights = isRoot && !changesUser ? [...leastRights(peer), '--'] : []
  const enter = [nsenter, '--target', String(pid), ...users, '--mount', '--pid', '--ipc', '--']
  return [...enter, SHELL, '-c', 'cd "$0" && exec "$@"', directory, ...rights]
}

const leastRights = (peer: string): readonly string[] => {
  const kept = SANDBOX_CAPABILITIES.map((name) => `,+${name.replace('CAP_', '').toLowerCase()}`)
  return [
    installed('setpriv', peer),
    '--no-new-privs',
    '--inh-caps=-all',
    `--bounding-set=-all${kept.join('')}`,
  ]
}

const installed = (program: string, peer: string): string => {
  const path = findProgram(program)
  if (path !== null) return path
  throw new TuttiError(
    'refused',
    `a sandbox is entered by ${program}, which is not installed on peer '${peer}'; install util-linux`,
  )
}

const candidatesOf = ({ record, shim, confined }: Run): readonly number[] => {
  const { tracking } = confined.groups
  if (tracking === null) return findProcesses({ nonce: record.nonce, shim, watched: true })
  try {
    return readFileSync(join(tracking, 'cgroup.procs'), 'latin1')
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 1)
  } catch {
    return []
  }
}

const namespaceOf = (pid: number | 'self', kind: string): string => {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`)
  } catch {
    return ''
  }
}
