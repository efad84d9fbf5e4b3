// The program that the supervision bench starts everywhere, by tutti, by pm2 and by a bare spawn: a shell that writes its pid
// on a roll and waits for ever. The roll says how many run and when the last one came, at the cost of one append a
// process and without asking any of the supervisors. It costs one exec, as `sleep` does.

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pause } from '../support.ts'

/** Between two looks at the roll: the resolution of every time taken from it. */
const LOOK_MS = 1
const WAIT_MAX_MS = 60_000

export class Roll {
  /** The program's file; it takes no arguments. */
  readonly program: string
  readonly #file: string

  constructor(directory: string, name: string) {
    this.#file = join(directory, `${name}.roll`)
    this.program = join(directory, `${name}.sh`)
    const fifo = join(directory, `${name}.fifo`)
    execFileSync('mkfifo', [fifo])
    writeFileSync(this.#file, '')
    // Opened for reading and writing, the FIFO neither blocks the opening nor ever ends.
    const script = `#!/bin/sh\necho $$ >>'${this.#file}'\nread -r NOTHING <>'${fifo}'\n`
    writeFileSync(this.program, script, { mode: 0o755 })
  }

  /** Everybody who ever came, in the order of coming. */
  pids(): readonly number[] {
    return readFileSync(this.#file, 'latin1').split('\n').slice(0, -1).map(Number)
  }

  /** Forgets those who came; what still comes is added as before. */
  clear(): void {
    writeFileSync(this.#file, '')
  }

  /** Waits until this many came; returns when that was seen, on the clock of `performance.now`. */
  async until(count: number): Promise<number> {
    const deadlineMs = performance.now() + WAIT_MAX_MS
    let size = -1
    while (performance.now() < deadlineMs) {
      const now = statSync(this.#file).size
      if (now !== size) {
        size = now
        if (this.pids().length >= count) return performance.now()
      }
      await pause(LOOK_MS)
    }
    throw new Error(`only ${this.pids().length} of ${count} came in ${WAIT_MAX_MS} ms`)
  }
}
