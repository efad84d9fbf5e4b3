// A real machine for tests of node/act: a folder of its own, and looking for processes by nonce. It ends no instances: that
// is what is tested.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log, LogLevel } from '../../../../lib/log.ts'
import { allPids, nonceOf, statOf } from '../../../../node/act/drivers/process/identity.ts'
import { ProcessDriver } from '../../../../node/act/drivers/process/driver.ts'
import { SafeLauncher, type Launcher } from '../../../../node/act/drivers/process/spawner.ts'
import { OutputStore } from '../../../../node/act/output/output.ts'
import { systemClock } from '../../../../node/clock.ts'

/** A log that keeps what is said. */
export const keepingLog = (): Log & { readonly lines: readonly (readonly [LogLevel, string])[] } => {
  const lines: (readonly [LogLevel, string])[] = []
  return { lines, log: (level, message) => lines.push([level, message]) }
}

/** Whether a process lives: a zombie does not. */
export const lives = (pid: number): boolean => {
  const state = statOf(pid)?.state
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** Living processes that carry a nonce. */
export const carriersOf = (nonce: string): number[] =>
  allPids().filter((pid) => lives(pid) && nonceOf(pid) === nonce)

/** Living children of a process. */
export const childrenOf = (pid: number): number[] =>
  allPids().filter((child) => {
    if (!lives(child)) return false
    try {
      const text = readFileSync(`/proc/${child}/stat`, 'latin1')
      // Fields 3 and 4 of proc(5) follow the name in parentheses.
      return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]) === pid
    } catch {
      return false
    }
  })

export interface Bed {
  readonly folder: string
  readonly output: OutputStore
  readonly launcher: SafeLauncher
  readonly makeDriver: (launcher?: Launcher) => ProcessDriver
  /** Ends the spawners and drops the folder; the tests themselves end what they spawned. */
  readonly cleanUp: () => Promise<void>
}

export const makeBed = (): Bed => {
  const folder = mkdtempSync(join(tmpdir(), 'tutti-act-'))
  const log = keepingLog()
  const output = new OutputStore({ folder: join(folder, 'output'), peer: 'a', clock: systemClock, log })
  const launchers: SafeLauncher[] = []
  const newLauncher = (): SafeLauncher => {
    const launcher = new SafeLauncher(log, join(folder, 'instances', 'spares'))
    launchers.push(launcher)
    return launcher
  }
  return {
    folder,
    output,
    launcher: newLauncher(),
    makeDriver: (launcher = newLauncher()) =>
      new ProcessDriver({
        folder: join(folder, 'instances'),
        peer: 'a',
        clock: systemClock,
        log,
        output,
        launcher,
      }),
    cleanUp: async () => {
      for (const launcher of launchers) launcher.close()
      await output.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
