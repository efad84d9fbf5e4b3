// A real machine for tests of node/act: a folder of its own, the machine's clock, waiting on conditions, and looking for
// processes by nonce. It ends no instances: that is what is tested.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log, LogLevel } from '../../../../lib/log.ts'
import type { Clock } from '../../../../lib/time.ts'
import { allPids, nonceOf, statOf } from '../../../../node/act/drivers/process/identity.ts'
import { ProcessDriver } from '../../../../node/act/drivers/process/driver.ts'
import { SafeLauncher, type Launcher } from '../../../../node/act/drivers/process/spawner.ts'
import { OutputStore } from '../../../../node/act/output/output.ts'

export const realClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs)
    return () => {
      clearTimeout(timer)
    }
  },
}

/** A log that keeps what is said. */
export const keepingLog = (): Log & { readonly lines: readonly (readonly [LogLevel, string])[] } => {
  const lines: (readonly [LogLevel, string])[] = []
  return { lines, log: (level, message) => lines.push([level, message]) }
}

/** The runner's timeout of a test: a wait that went on beyond it would keep the process of its file, and so the run, for good. */
const WAIT_MS = 60_000

/** Resolves as soon as `condition` holds; the runner's timeout ends a test in which it never does. */
export const until = async (condition: () => boolean): Promise<void> => {
  const endMs = performance.now() + WAIT_MS
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not within ${WAIT_MS} ms: ${condition.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
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
  const output = new OutputStore({ folder: join(folder, 'output'), peer: 'a', clock: realClock, log })
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
        clock: realClock,
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
