// A census of the machine's processes: which group each is in and which nonce it carries, remembered from look to look, so
// that an exit among a thousand instances costs one listing of /proc and not two thousand reads. It answers who may be
// left of a run; whoever is named is looked at afresh before anything is sent to it. Sends no signals.

import { readdirSync, readFileSync } from 'node:fs'
import type { Clock } from '../../../../lib/time.ts'
import type { Traces } from './group.ts'
import { isKernelThread, markOf, statOf } from './identity.ts'

interface Seen {
  /** As it was when the process was first seen; a child has its parent's from its first instant. */
  readonly nonce: string | null
  readonly group: number
}

/** A look begins this many times its own duration after the last one ended: a quarter of a core at most goes into looking. */
const REST_FACTOR = 3
/** The kernel's smallest default; where the real one cannot be read. */
const PID_MAX_DEFAULT = 32_768

const numberIn = (path: string, pattern: RegExp): number | null => {
  try {
    return Number(pattern.exec(readFileSync(path, 'latin1'))?.[1] ?? Number.NaN)
  } catch {
    return null
  }
}

/** Processes and threads ever made on this machine; null: not to be known. */
const forksSoFar = (): number | null => {
  const forks = numberIn('/proc/stat', /^processes (\d+)$/m)
  return forks === null || Number.isNaN(forks) ? null : forks
}

/** Who runs on this machine, as of the last look. */
export class Census {
  readonly #clock: Clock
  readonly #forksMax: number
  #seen = new Map<number, Seen>()
  /** The count of forks when the oldest entry was made. */
  #since = 0
  #next: Promise<void> | null = null
  #restUntilMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
    const pids = numberIn('/proc/sys/kernel/pid_max', /^(\d+)/) ?? PID_MAX_DEFAULT
    // Pids are given away in a circle: none comes twice before the circle is closed, and half of it is far from that.
    this.#forksMax = Math.floor(pids / 2)
  }

  /** Resolves after a look that began after this call; calls that wait at the same time share it. */
  look(): Promise<void> {
    this.#next ??= new Promise((done) => {
      this.#clock.after(Math.max(0, this.#restUntilMs - this.#clock.now()), () => {
        this.#next = null
        const began = this.#clock.now()
        this.#take()
        const ended = this.#clock.now()
        this.#restUntilMs = ended + (ended - began) * REST_FACTOR
        done()
      })
    })
    return this.#next
  }

  /** Whether processes of a run were there at the last look and live now: members of its group, and others with its nonce. */
  leftOf({ nonce, shim }: Traces): { readonly inGroup: boolean; readonly elsewhere: boolean } {
    const left = { inGroup: false, elsewhere: false }
    for (const [pid, seen] of this.#seen) {
      if (seen.nonce !== nonce && (shim === null || seen.group !== shim.pid)) continue
      const stat = statOf(pid)
      if (stat === null || stat.state === 'Z' || stat.state === 'X') continue
      if (stat.group === shim?.pid) left.inGroup = true
      else left.elsewhere = true
    }
    return left
  }

  #take(): void {
    const forks = forksSoFar()
    const keeps = forks !== null && forks - this.#since < this.#forksMax
    const before = keeps ? this.#seen : new Map<number, Seen>()
    if (!keeps) this.#since = forks ?? 0
    const now = new Map<number, Seen>()
    for (const name of readdirSync('/proc')) {
      const pid = Number(name)
      if (!(pid > 1) || pid === process.pid) continue
      const seen = before.get(pid) ?? this.#examine(pid)
      if (seen !== null) now.set(pid, seen)
    }
    this.#seen = now
  }

  /** Null: it is gone, or it is between two programs and says nothing yet; it is looked at again the next time. */
  #examine(pid: number): Seen | null {
    const stat = statOf(pid)
    if (stat === null) return null
    const { known, nonce } = markOf(pid)
    return known || isKernelThread(stat) ? { nonce, group: stat.group } : null
  }
}
