// What a run's directory says of it, as the driver takes it: how it ended, when, what confined it. Reads only.

import type { Exit } from '../../../ports.ts'
import { parseConfined, type Confined } from './confinement.ts'
import { parseExit } from './exit.ts'
import { toldIn } from './told.ts'

/** What confines the run. */
export const confinedIn = (folder: string): Confined => parseConfined(toldIn(folder).confined)

/** How the run ended; null: its shim wrote no status. `oomKills`: as its groups count them. */
export const exitIn = (folder: string, speaks: boolean, oomKills: number): Exit | null => {
  const { status, words, confined } = toldIn(folder)
  // A sandbox passes a signal on as a status, whatever the shell says of it.
  const exit = parseExit({ status, words, spoken: speaks && !parseConfined(confined).isSandboxed })
  return exit !== null && exit.code !== 0 && oomKills > 0 ? { ...exit, oomKilled: true } : exit
}

/** How long ago the run ended, milliseconds; null: its shim wrote no status. */
export const endedAgoMsIn = (folder: string, wall: number): number | null => {
  const { endedAtMs } = toldIn(folder)
  return endedAtMs === null ? null : Math.max(0, wall - endedAtMs)
}
