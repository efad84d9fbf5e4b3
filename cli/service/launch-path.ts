// What a service starts: the launcher by its whole path, and the PATH it is given. A service outlives the terminal it was
// installed from, so neither may point to what lives as long as a terminal or a cache.

import { realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter } from 'node:path'
import { LAUNCHER } from '../launch.ts'

/** The launcher with every link resolved: a link in a folder of commands may be replaced by another version's. */
export const launcherPath = (launcher = LAUNCHER): string => {
  try {
    return realpathSync(launcher)
  } catch {
    return launcher
  }
}

/** Why the launcher may not be there tomorrow; null: it lies in an ordinary place. */
export const fleetingReason = (launcher: string, temporary = tmpdir()): string | null => {
  if (/\/_npx\//.test(launcher) || /\/\.npm\/_cacache\//.test(launcher)) {
    return `${launcher} lies in npm's cache, which npm empties when it likes; install tutti in a folder of its own first`
  }
  const folder = [temporary, '/tmp', '/var/tmp', '/run', '/dev/shm'].find((one) =>
    launcher.startsWith(`${one}/`),
  )
  if (folder === undefined) return null
  return `${launcher} lies in ${folder}, which a reboot or a cleaner empties; install tutti in a folder of its own first`
}

// The PATH of systemd's own services (systemd.exec(5)), for whoever has none.
const PATH_DEFAULT = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The PATH of the person, without what npm puts there for the length of one command and without relative folders. */
export const servicePath = (path: string | undefined): string => {
  const folders = (path ?? '')
    .split(delimiter)
    .filter((folder) => folder.startsWith('/') && !/\/node_modules\/|\/_npx\//.test(`${folder}/`))
  return folders.length === 0 ? PATH_DEFAULT : [...new Set(folders)].join(delimiter)
}
