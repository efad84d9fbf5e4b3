// What to type to run this program again: `tutti` where the PATH has it, else the way that works from here. Sentences,
// also those that peers write, say `tutti ps`; on their way to a person that becomes a line to copy. Help texts and the
// JSON of `--json` keep the plain name.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Io } from './io.ts'
import { LAUNCHER, PROJECT } from './launch.ts'

// npm puts its folders of commands on the PATH of what it runs; the person's own shell does not have them.
const NPM_FOLDER = /\/node_modules\/(\.bin|npm\/.*|@npmcli\/.*)$/

const isOnPath = (path: string): boolean =>
  path
    .split(delimiter)
    .some((folder) => folder !== '' && !NPM_FOLDER.test(folder) && existsSync(join(folder, 'tutti')))

/** By its name where the PATH has it, else by its whole path: good in every terminal of this machine. */
export const programPath = ({ environment }: Pick<Io, 'environment'>): string => {
  const path = environment['PATH'] ?? ''
  return path === '' || isOnPath(path) ? 'tutti' : LAUNCHER
}

/** As short as it can be typed in this terminal: `tutti`, `npx tutti`, `./bin/tutti`, or the whole path. */
export const programName = (io: Pick<Io, 'environment' | 'directory'>): string => {
  const path = programPath(io)
  if (path === 'tutti' || io.directory !== PROJECT) return path
  return io.environment['npm_command'] === 'exec' ? 'npx tutti' : './bin/tutti'
}

// Only where a command or an option follows: "a peer of tutti" stays as it is.
const CALL =
  /(?<![\w./-])tutti (?=(?:--help|apply|completion|conflicts|demo|doctor|events|explain|install-service|invite|join|logs|ls|peers|plan|ps|release|restart|rm|scale|serve-builds|start|status|stop|uninstall-service|up)\b)/g

/** `sentence` with every `tutti COMMAND` as it can be typed here. */
export const typable = (sentence: string, io: Pick<Io, 'environment' | 'directory'>): string => {
  const name = programName(io)
  return name === 'tutti' ? sentence : sentence.replace(CALL, () => `${name} `)
}
