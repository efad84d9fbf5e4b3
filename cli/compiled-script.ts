// A CommonJS script with the code that V8 made of it when it last ran. Node.js's own compile cache keeps a script as it is once
// it has been loaded, when none of its functions has run, so each command compiled anew whatever it called: a third of the time
// until a peer heard of it (docs/adr/0007-bundle.md). Code is kept here when a run is over.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { Script } from 'node:vm'

/** A script that has been run. */
export interface LoadedScript<T> {
  readonly exports: T
  /** Keeps what is compiled of it by now, unless it was kept before. Never throws: without it the next run is slower. */
  readonly keep: () => void
}

// What stands before the code in a kept file: of which script it is, as text of this length. V8 itself looks at its own version
// and flags, and at the script's length.
const LABEL_BYTES = 64

/** Which script: another build of it has another time of change. */
const labelOf = (file: string): string => {
  const { size, mtimeMs, ino } = statSync(file)
  return `${size} ${mtimeMs} ${ino}`.padEnd(LABEL_BYTES).slice(0, LABEL_BYTES)
}

const readKept = (kept: string | null, label: string): Buffer | undefined => {
  if (kept === null) return undefined
  try {
    // Whoever runs this as somebody else, with the other's home in the environment, is not to run the other's code.
    if (statSync(kept).uid !== process.geteuid?.()) return undefined
    const bytes = readFileSync(kept)
    return bytes.toString('latin1', 0, LABEL_BYTES) === label ? bytes.subarray(LABEL_BYTES) : undefined
  } catch {
    // There is none yet, or it cannot be read.
    return undefined
  }
}

/**
 * In one step, and on the disk before it has its name: V8 trusts what it is given. At once, since the process is about to end,
 * and under a name of its own, since commands run side by side.
 */
const writeKept = (kept: string, label: string, code: Buffer): void => {
  const draft = `${kept}.${process.pid}`
  try {
    mkdirSync(dirname(kept), { recursive: true, mode: 0o700 })
    const descriptor = openSync(draft, 'wx', 0o600)
    try {
      writeSync(descriptor, Buffer.concat([Buffer.from(label, 'latin1'), code]))
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(draft, kept)
  } catch {
    try {
      rmSync(draft, { force: true })
    } catch {
      // No folder, or no disk: nothing can be kept.
    }
  }
}

/** Runs a CommonJS script, absolute path, all of ASCII. `kept`: the file, absolute, that keeps its code; null: none does. */
export const loadScript = <T>(file: string, kept: string | null): LoadedScript<T> => {
  const label = labelOf(file)
  const cachedData = readKept(kept, label)
  // Of ASCII, whose letters take V8 a byte each.
  const source = readFileSync(file, 'latin1')
  const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
  })
  const module = { exports: {} as T }
  const run = script.runInThisContext() as (...parameters: readonly unknown[]) => void
  run(module.exports, createRequire(file), module, file, dirname(file))
  const isKept = cachedData !== undefined && script.cachedDataRejected !== true
  return {
    exports: module.exports,
    keep: () => {
      if (kept !== null && !isKept) writeKept(kept, label, script.createCachedData())
    },
  }
}
