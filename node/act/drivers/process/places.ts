// Where runs are to take place: their directories, and in each run directory the FIFO by which its shim is watched. For
// many starts in one moment one program makes all of them, beside the peer; for a single one the peer makes the directory
// itself and takes a FIFO made ahead of time. Starts nothing that outlives a call.

import { mkdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { fewATurn } from '../../few-a-turn.ts'
import { Fifos } from './fifos.ts'
import { quoted, RUN_FILES } from './launch.ts'

/** One run's places; all paths absolute. */
export interface Place {
  readonly runDirectory: string
  /** Others that the run needs, made where they are missing. */
  readonly directories: readonly string[]
}

interface Wanted extends Place {
  readonly done: PromiseWithResolvers<void>
}

/** The mode of every directory that is made: they are the peer's, and instances of a user get theirs by chown. */
const MODE = 0o700
// A line of as many paths is far below what a shell reads and a program takes.
const PLACES_MAX = 32
// Two programs cost a millisecond and a half, and hold the spawner up; each directory made here 100 µs of the peer's own.
const FEW_MAX = 3
/** Until all that waits for the same event has asked. */
const nextTurn = promisify(setImmediate)

/** The path of a run's FIFO. */
export const aliveIn = (runDirectory: string): string => `${runDirectory}/${RUN_FILES.alive}`

const words = (paths: readonly string[]): string => paths.map(quoted).join(' ')

export class Places {
  readonly #request: (command: string) => Promise<void>
  readonly #spares: Fifos | null
  #wanted: Wanted[] = []
  #isMaking = false

  /** `request` has a shell's command run. `spares`: a folder for FIFOs made ahead of time, absolute; null: none are. */
  constructor(request: (command: string) => Promise<void>, spares: string | null) {
    this.#request = request
    this.#spares = spares === null ? null : new Fifos(spares, async (paths) => await this.#makeFifos(paths))
  }

  /** Resolves when all of a run's places are there. */
  async make(place: Place): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#wanted.push({ ...place, done })
    if (!this.#isMaking) void this.#makeAll()
    await done.promise
  }

  /** One batch after the other: what is asked for meanwhile is the next one, so that a burst has few and large ones. */
  async #makeAll(): Promise<void> {
    this.#isMaking = true
    await nextTurn()
    while (this.#wanted.length > 0) await this.#makeBatch(this.#wanted.splice(0, PLACES_MAX))
    this.#isMaking = false
  }

  async #makeBatch(batch: readonly Wanted[]): Promise<void> {
    if (batch.length <= FEW_MAX) {
      for (const { done, ...place } of batch) this.#makeOne(place).then(done.resolve, done.reject)
      return
    }
    const directories = batch.flatMap(({ runDirectory, directories: others }) => [...others, runDirectory])
    const fifos = batch.map(({ runDirectory }) => aliveIn(runDirectory))
    try {
      await this.#request(
        `{ mkdir -p -m 700 ${words(directories)} && mkfifo -m 600 ${words(fifos)}; } </dev/null`,
      )
      // Not waited for: the next batch is made meanwhile.
      void fewATurn(batch, ({ done }) => done.resolve())
    } catch (error) {
      for (const { done } of batch) done.reject(error)
    }
  }

  async #makeOne({ runDirectory, directories }: Place): Promise<void> {
    await makeDirectories([...directories, runDirectory])
    const alive = aliveIn(runDirectory)
    if ((await this.#spares?.place(alive)) !== true) await this.#makeFifos([alive])
  }

  async #makeFifos(paths: readonly string[]): Promise<void> {
    await this.#request(`mkfifo -m 600 ${words(paths)} </dev/null`)
  }
}

/** Makes directories where they are missing. */
export const makeDirectories = async (paths: readonly string[]): Promise<void> => {
  // Off the event loop: the disk may be busy with a sync, and then each of them waits for it.
  for (const path of paths) await mkdir(path, { recursive: true, mode: MODE })
}
