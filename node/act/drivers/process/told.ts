// What a run's shim has told of it: one file, a line for each thing, in the order in which they happen. One file and not one
// for each, since every start and every restart would make all of them: making a file is what costs, and more so on a disk
// that has just lost many. What is not there, or not whole yet, is an answer too.
//
//     confined JSON      what confines the run (confinement.ts); by the launch script
//     shim PID START     who the shim is, before the program begins
//     up                 from now on signals reach the program
//     …                  the shell's words about a signal that ended the program
//     exit STATUS        how the program ended, as a shell knows it
//     oom COUNT          processes that its groups had lost to want of memory by then, those of runs before it included; by
//                        what makes an heir of its shim, since from then on the heir's are counted, too, and by the peer
//                        before it removes the groups
//
// A version before this one had a file for each; runs that it left are read as well.

import { appendFileSync, existsSync, readFileSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { parseIdentity, type ProcessIdentity } from './identity.ts'
import { RUN_FILES } from './launch.ts'

export interface Told {
  /** As `parseConfined` reads it; empty: not told. */
  readonly confined: string
  readonly shim: ProcessIdentity | null
  readonly isUp: boolean
  /** The shell's; empty: none. */
  readonly words: string
  /** Of a shell, a number; empty: none yet. */
  readonly status: string
  /** As the line `oom` has it; null: it was not told. */
  readonly oomKills: number | null
  /** When the exit was told, wall clock; null: it was not. */
  readonly endedAtMs: number | null
}

/** Of a version that kept a file for each. */
const FORMER_FILES = { confined: 'confined', pid: 'pid', up: 'up', signal: 'signal', exit: 'exit' } as const

const OOM = /^oom (\d+)$/

/** A file's text; empty where it cannot be read. */
export const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** When a file was last written, wall clock; null: it is not there. */
export const changedMs = (path: string): number | null => {
  try {
    return statSync(path).mtimeMs
  } catch {
    return null
  }
}

/** What is said of a run in its directory. */
export const toldIn = (folder: string): Told => {
  const file = join(folder, RUN_FILES.told)
  const text = textOf(file)
  if (text === '') return formerlyToldIn(folder)
  // A line without its end was cut off by a full disk, and says nothing.
  const lines = text.split('\n').slice(0, -1)
  const after = (word: string): string =>
    lines.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1) ?? ''
  const up = lines.indexOf('up')
  const status = /^\d+$/.exec(after('exit'))?.[0] ?? ''
  const oomKills = OOM.exec(lines.at(-1) ?? '')?.[1]
  return {
    confined: after('confined'),
    shim: parseIdentity(`${after('shim')}\n`),
    isUp: up !== -1,
    words:
      up === -1
        ? ''
        : lines
            .slice(up + 1)
            .filter((line) => line !== `exit ${status}` && !OOM.test(line))
            .join('\n'),
    status,
    oomKills: oomKills === undefined ? null : Number(oomKills),
    endedAtMs: status === '' ? null : changedMs(file),
  }
}

/** Says of a run that is over what its groups have counted, as the line `oom`; when it ended stays as it was told. */
export const tellOomKills = (folder: string, count: number): void => {
  const file = join(folder, RUN_FILES.told)
  try {
    const { atimeMs, mtimeMs } = statSync(file)
    appendFileSync(file, `oom ${count}\n`)
    utimesSync(file, atimeMs / 1000, mtimeMs / 1000)
  } catch {
    // A full disk, or no such run any more: then nobody is to hear of it after this process.
  }
}

const formerlyToldIn = (folder: string): Told => {
  const of = (name: keyof typeof FORMER_FILES): string => join(folder, FORMER_FILES[name])
  const status = /^(\d+)\n/.exec(textOf(of('exit')))?.[1] ?? ''
  return {
    confined: textOf(of('confined')),
    shim: parseIdentity(textOf(of('pid'))),
    // The first version made neither file, and its runs have long been up.
    isUp: existsSync(of('up')) || !existsSync(of('confined')),
    words: textOf(of('signal')),
    status,
    oomKills: null,
    endedAtMs: status === '' ? null : changedMs(of('exit')),
  }
}

/** When a run began, wall clock: its shim said who it is; null: not known. */
export const beganAtMs = (folder: string): number | null => changedMs(join(folder, RUN_FILES.alive))
