// How a run ended, from what its shim left: a shell's exit status and, where a signal ended the program, the shell's
// words about it. A status above 128 alone is ambiguous: 143 is a program that SIGTERM ended and one that said `exit 143`.

import { execFile } from 'node:child_process'
import { constants } from 'node:os'
import { promisify } from 'node:util'
import type { Exit } from '../../../ports.ts'

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]))
/** Shells keep quiet about these two, so a status is all there is. */
const UNSPOKEN: readonly string[] = ['SIGINT', 'SIGPIPE']

/** The signals that this system knows, by name. */
export const isSignal = (name: string): name is NodeJS.Signals => [...signalNames.values()].includes(name)

/** What a shim left. */
export interface ExitTraces {
  /** As digits; empty: not told. */
  readonly status: string
  /** The shell's; empty: none. */
  readonly words: string
  /** Whether words are to be expected for a signal: see `shellSpeaks`. */
  readonly spoken: boolean
}

/** Null: the shim wrote no status. */
export const parseExit = ({ status, words, spoken }: ExitTraces): Exit | null => {
  if (status === '') return null
  const code = Number(status)
  const signal = signalNames.get(code - 128)
  if (signal === undefined) return { code, signal: null }
  const isSignalled = !spoken || words !== '' || UNSPOKEN.includes(signal)
  return isSignalled ? { code: null, signal } : { code, signal: null }
}

const run = promisify(execFile)

/**
 * Whether this system's shell says on its standard error that a signal ended a program, as dash and BusyBox do and bash
 * does for most. Where it does not, every status above 128 counts as a signal.
 */
export const shellSpeaks = async (shell: string): Promise<boolean> => {
  try {
    const { stderr } = await run(shell, ['-c', '( exec sh -c \'kill -TERM "$$"\' ); exit 0'])
    return stderr !== ''
  } catch {
    return false
  }
}
