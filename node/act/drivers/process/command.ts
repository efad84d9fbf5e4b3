// What a command's first word means on this machine, found out before anything is spawned, so that a missing program
// is one clear sentence and not an exit status of 127. Reads the file system; changes nothing.

import { accessSync, constants, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { TuttiError } from '../../../../lib/errors.ts'

/** Where a command is to run. */
export interface CommandPlace {
  /** Absolute. */
  readonly directory: string
  /** The instance's PATH. */
  readonly path: string
  /** For messages. */
  readonly peer: string
}

type Finding = 'program' | 'not-executable' | 'missing'

const look = (file: string): Finding => {
  try {
    if (!statSync(file).isFile()) return 'missing'
    accessSync(file, constants.X_OK)
    return 'program'
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES' ? 'not-executable' : 'missing'
  }
}

/** Where the system's own programs are, whatever the peer's PATH. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The absolute file of a system program; null: it is not installed. */
export const findProgram = (name: string): string | null =>
  SYSTEM_PATH.split(':')
    .map((directory) => join(directory, name))
    .find((file) => look(file) === 'program') ?? null

/** @throws TuttiError `unknown` when the directory does not exist or cannot be entered. */
export const checkDirectory = (directory: string, peer: string): void => {
  const refuse = (why: string): never => {
    throw new TuttiError(
      'unknown',
      `working directory '${directory}' ${why} on peer '${peer}'; create it there or change working_dir`,
    )
  }
  let isDirectory = false
  try {
    isDirectory = statSync(directory).isDirectory()
  } catch {
    refuse('does not exist')
  }
  if (!isDirectory) refuse('is not a directory')
  try {
    accessSync(directory, constants.X_OK)
  } catch {
    refuse('may not be entered')
  }
}

/**
 * The absolute file that a command's first word names: on the PATH, or with a slash relative to the directory. Absolute,
 * so that no shell ever takes it for one of its own words. @throws TuttiError `unknown` with the next step.
 */
export const resolveCommand = (word: string, { directory, path, peer }: CommandPlace): string => {
  const refuse = (why: string): never => {
    throw new TuttiError('unknown', `command '${word}' ${why}`)
  }
  if (word.includes('/')) {
    const file = resolve(directory, word)
    const finding = look(file)
    if (finding === 'program') return file
    return finding === 'not-executable'
      ? refuse(`is not executable on peer '${peer}'; run chmod +x on ${file}`)
      : refuse(`does not exist on peer '${peer}' (looked for ${file}); put it there or change the command`)
  }
  let blocked: string | null = null
  for (const entry of path.split(':')) {
    // An empty entry means the current directory (POSIX, XBD 8.3).
    const file = join(resolve(directory, entry), word)
    const finding = word === '' ? 'missing' : look(file)
    if (finding === 'program') return file
    if (finding === 'not-executable') blocked ??= file
  }
  return blocked === null
    ? refuse(`is not on the PATH of peer '${peer}'; install it there or write its full path`)
    : refuse(`is not executable on peer '${peer}'; run chmod +x on ${blocked}`)
}
