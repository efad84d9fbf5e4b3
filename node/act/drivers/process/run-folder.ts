// What a run's directory says of it: how it ended, when, what confined it. Reads only; a file that is not there, or not
// whole yet, is an answer too.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Exit } from '../../../ports.ts'
import { parseConfined, type Confined } from './confinement.ts'
import { parseExit } from './exit.ts'
import { RUN_FILES } from './launch.ts'

/** A file's text; empty where it cannot be read. */
export const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** What confines the run. */
export const confinedIn = (folder: string): Confined =>
  parseConfined(textOf(join(folder, RUN_FILES.confined)))

/** How the run ended; null: its shim wrote no status. `oomKills`: as its groups count them. */
export const exitIn = (folder: string, speaks: boolean, oomKills: number): Exit | null => {
  const told = parseExit({
    status: textOf(join(folder, RUN_FILES.exit)),
    words: textOf(join(folder, RUN_FILES.signal)),
    // A sandbox passes a signal on as a status, whatever the shell says of it.
    spoken: speaks && !confinedIn(folder).isSandboxed,
  })
  return told !== null && told.code !== 0 && oomKills > 0 ? { ...told, oomKilled: true } : told
}

/** How long ago the run ended, milliseconds; null: its shim wrote no status. */
export const endedAgoMsIn = (folder: string, wall: number): number | null => {
  try {
    // The shim writes the file at the end and nobody writes it again.
    return Math.max(0, wall - statSync(join(folder, RUN_FILES.exit)).mtimeMs)
  } catch {
    return null
  }
}
