// The service manager as a port, and systemd as it: runs systemctl and loginctl and turns their failures into one sentence.
// It knows no unit of ours; install.ts decides what is run.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { EXIT, Failure } from '../exit.ts'

/** What installing needs of a service manager. Tests bring their own. */
export interface ServiceManager {
  /** Null where it runs this machine; else one sentence with the next step. */
  missing(): string | null
  /** Runs `systemctl ARGS…`, for the user's own manager where that is meant. @throws Failure with what it said. */
  control(args: readonly string[]): void
  /** Lets the user's services run without a login. Null when that was done; else why not. */
  linger(): string | null
}

// sd_booted(3): the directory exists where systemd is the init of the machine.
const BOOTED = '/run/systemd/system'
/** Starting and stopping a unit wait for it, at most twenty seconds for ours. */
const CONTROL_MS = 60_000

interface Ran {
  readonly failure: string | null
}

const run = (command: string, args: readonly string[]): Ran => {
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: CONTROL_MS })
  if (error !== undefined) return { failure: error.message }
  if (status === 0) return { failure: null }
  const said = stderr.trim().split('\n').at(-1) ?? ''
  return { failure: said === '' ? `it ended with status ${status ?? 'unknown'}` : said }
}

/** systemd; `user`: the manager of this user. */
export const systemd = (
  user: boolean,
  userId: number | null = process.getuid?.() ?? null,
): ServiceManager => ({
  missing: () => {
    if (!existsSync(BOOTED)) {
      return 'systemd does not run this machine; take the unit from --print, or have your own supervisor run tutti up'
    }
    if (!user && userId !== 0) {
      return 'a service of the machine needs root; run this with sudo, or add --user for a service of your own'
    }
    return null
  },
  control: (args) => {
    const all = user ? ['--user', ...args] : args
    const { failure } = run('systemctl', all)
    if (failure === null) return
    const next = `look at systemctl ${user ? '--user ' : ''}status, and journalctl ${user ? '--user ' : ''}-xe`
    throw new Failure(EXIT.failed, `systemctl ${args.join(' ')} failed: ${failure}; ${next}`)
  },
  linger: () => run('loginctl', ['enable-linger']).failure,
})
