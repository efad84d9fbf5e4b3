// Run directories that are ready for a run: some made ahead of time, each with its FIFO, and those of runs that are over,
// emptied. Node.js cannot make a FIFO, and a fork and an exec of mkfifo for each start would be a tenth of its cost. And where a
// file system does not give an inode out again in the first minutes after it was deleted, as ext4 without a journal, whatever
// stops delete makes the next starts slower (docs/adr/0036-spare-runs.md). Makes and deletes no directory itself.

import { readdir, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { RUN_FILES } from './launch.ts'

// As many as one command line makes, for what starts one by one.
const MADE = 32
// Half of them are left while the others are being made.
const LOW = MADE / 2
/** Of five hundred instances that end at once, each with its heir. With a block each they are 4 MiB of disk. */
const KEPT_MAX = 1024

/** What the next run finds: the FIFO, and what is told, which is nothing. */
const REUSED: ReadonlySet<string> = new Set([RUN_FILES.alive, RUN_FILES.told])
/** What else the directory of a run may have that is over. One with anything besides is not kept. */
const DISPOSABLE: ReadonlySet<string> = new Set([RUN_FILES.heir, RUN_FILES.claim, RUN_FILES.launch])

/** What needs a program. */
export interface SpareRunsOptions {
  /** Makes run directories with their FIFOs at all the paths, or throws. */
  readonly make: (directories: readonly string[]) => Promise<void>
  /** Sees to it that the folder of spares is there, and empty. */
  readonly renew: () => Promise<void>
}

/** Spare run directories in a folder of their own, on the file system of the places they are for. */
export class SpareRuns {
  readonly #folder: string
  readonly #options: SpareRunsOptions
  readonly #spares: string[] = []
  #renewed: Promise<void> | null = null
  #names = 0
  #isFilling = false

  constructor(folder: string, options: SpareRunsOptions) {
    this.#folder = folder
    this.#options = options
  }

  /** How many there are. */
  get count(): number {
    return this.#spares.length
  }

  /** Moves a spare to `runDirectory`. False: there was none. */
  async take(runDirectory: string): Promise<boolean> {
    const spare = this.#spares.pop()
    if (spare === undefined) return false
    try {
      await rename(spare, runDirectory)
      return true
    } catch {
      // Somebody tidied up. Whoever asked makes one.
      return false
    }
  }

  /** Has some made, where few are left. Not waited for. */
  refill(): void {
    if (this.#spares.length < LOW && !this.#isFilling) void this.#fill()
  }

  /** Moves the directory of a run that is over to the spares, emptied. False: it is not one that can be kept, or is not empty yet. */
  async keep(runDirectory: string): Promise<boolean> {
    if (this.#spares.length >= KEPT_MAX) return false
    try {
      const names = await readdir(runDirectory)
      const others = names.filter((name) => !REUSED.has(name))
      if (!names.includes(RUN_FILES.alive) || !others.every((name) => DISPOSABLE.has(name))) return false
      await this.#renew()
      for (const name of others) await rm(join(runDirectory, name), { force: true })
      // A later peer that finds the next run before it was launched would read here how this one ended.
      if (names.includes(RUN_FILES.told)) await truncate(join(runDirectory, RUN_FILES.told))
      const spare = this.#nextName()
      await rename(runDirectory, spare)
      this.#spares.push(spare)
      return true
    } catch {
      return false
    }
  }

  async #fill(): Promise<void> {
    this.#isFilling = true
    try {
      await this.#renew()
      const directories = Array.from({ length: MADE }, () => this.#nextName())
      await this.#options.make(directories)
      this.#spares.push(...directories)
    } catch {
      // Starts make their own, and say what is wrong when they cannot either.
    } finally {
      this.#isFilling = false
    }
  }

  #nextName(): string {
    return join(this.#folder, String((this.#names += 1)))
  }

  /** Once. What an earlier peer left is of no use: nobody knows whether it was made in full, or emptied. */
  async #renew(): Promise<void> {
    this.#renewed ??= this.#options.renew()
    try {
      await this.#renewed
    } catch (error) {
      this.#renewed = null
      throw error
    }
  }
}
