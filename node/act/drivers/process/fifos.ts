// FIFOs made ahead of time. Node.js cannot make one, and a fork and an exec of mkfifo for each start would be a tenth of
// its cost, so a launcher keeps some in a folder and moves one to where it is wanted. Makes none itself.

import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

// As many as one command line makes: a burst of starts empties it faster than any number could be kept.
const SPARES_MAX = 32
// Half of them are left while the others are being made.
const SPARES_LOW = SPARES_MAX / 2

/** Spare FIFOs in a folder of their own, on the file system of the places they are for. */
export class Fifos {
  readonly #folder: string
  readonly #make: (paths: readonly string[]) => Promise<void>
  readonly #spares: string[] = []
  #made = 0
  #filling = false

  /** `make` makes FIFOs at all the paths, or throws. */
  constructor(folder: string, make: (paths: readonly string[]) => Promise<void>) {
    this.#folder = folder
    this.#make = make
  }

  /** Moves a spare to `path`. False: there was none; more are being made. */
  async place(path: string): Promise<boolean> {
    const spare = this.#spares.pop()
    if (this.#spares.length < SPARES_LOW && !this.#filling) void this.#fill()
    if (spare === undefined) return false
    try {
      await rename(spare, path)
      return true
    } catch {
      // Somebody tidied up. Whoever asked makes one.
      return false
    }
  }

  async #fill(): Promise<void> {
    this.#filling = true
    try {
      // What an earlier peer left is of no use: nobody knows whether it was made in full.
      if (this.#made === 0) await rm(this.#folder, { recursive: true, force: true })
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      const paths = Array.from({ length: SPARES_MAX }, () => join(this.#folder, String((this.#made += 1))))
      await this.#make(paths)
      this.#spares.push(...paths)
    } catch {
      // Starts make their own, and say what is wrong when they cannot either.
    } finally {
      this.#filling = false
    }
  }
}
