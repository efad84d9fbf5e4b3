// Where this machine's peer keeps its data when nobody says, and the name of its socket there. `up` and every command
// that talks to a peer use the same rule, so that `tutti up` and then `tutti ps` meet without any option.

import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'

/** The peer's Unix socket within its data directory. */
export const SOCKET_NAME = 'tutti.sock'

// Where a system-wide peer lives (Filesystem Hierarchy Standard 3.0 §5.8).
const SYSTEM_DIRECTORY = '/var/lib/tutti'

const isWritable = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * The default data directory: `$TUTTI_DATA`; for root `/var/lib/tutti` where that can be written or made; else
 * `$XDG_STATE_HOME/tutti` or `~/.local/state/tutti` (XDG Base Directory Specification 0.8).
 */
export const defaultDataDirectory = (
  environment: Readonly<Record<string, string | undefined>>,
  userId: number | null = process.getuid?.() ?? null,
): string => {
  const given = environment['TUTTI_DATA']
  if (given !== undefined && given !== '') return resolve(given)
  if (userId === 0 && (isWritable(SYSTEM_DIRECTORY) || isWritable(dirname(SYSTEM_DIRECTORY)))) {
    return SYSTEM_DIRECTORY
  }
  const state = environment['XDG_STATE_HOME']
  // The specification has relative paths ignored.
  if (state !== undefined && isAbsolute(state)) return join(state, 'tutti')
  const home = environment['HOME']
  return join(home === undefined || home === '' ? homedir() : home, '.local', 'state', 'tutti')
}

/** The socket of the peer whose data is in `directory`. */
export const socketOf = (directory: string): string => join(directory, SOCKET_NAME)
