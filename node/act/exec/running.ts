// What the two ways to run a command have in common: with pipes (pipes.ts) and in a terminal (terminal.ts). Types, and the
// one guarded signal.

import type { Readable } from 'node:stream'
import type { TerminalSize } from '../../ports.ts'

/** A command made ready: everything is found and checked. */
export interface Launch {
  /** Absolute. */
  readonly file: string
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Absolute. */
  readonly directory: string
}

/** A command that runs. */
export interface Running {
  /** A terminal has one output: both of the program's are one there. */
  readonly outputs: Readonly<Partial<Record<'stdout' | 'stderr', Readable>>>
  /** Resolves once, never rejects; outputs may still have something to read. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** Resolves when it takes more. Never rejects: input of a command that does not read any more is dropped. */
  write(bytes: Uint8Array): Promise<void>
  /** No more input. */
  end(): void
  /** Nothing where there is no terminal. */
  resize(size: TerminalSize): void
  /** To the whole group; nothing once it has exited. */
  signal(name: NodeJS.Signals): void
  /** The caller is gone: asks the whole group to end. */
  hangUp(): void
}

/** Signals the group of a child that has not been reaped, so that its number is surely still its own. */
export const signalOwnGroup = (pid: number, name: NodeJS.Signals): void => {
  // 0 and 1 in place of a pid would be "my own group" and init.
  if (!Number.isSafeInteger(pid) || pid <= 1) return
  try {
    process.kill(-pid, name)
  } catch {
    // Ended in this very moment.
  }
}
