// Where runs are to take place: their directories, and in each run directory the FIFO by which its shim is watched. For
// many starts in one moment one program makes all of them, beside the peer; for a single one the peer makes them itself. Of run
// directories there are spare ones, and those of runs that are over become such. Starts nothing that outlives a call.

import { mkdir, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { fewATurn } from '../../few-a-turn.ts'
import { quoted, RUN_FILES } from './launch.ts'
import { SpareRuns } from './spare-runs.ts'

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

const makingFifos = (runDirectories: readonly string[]): string =>
  `mkfifo -m 600 ${words(runDirectories.map(aliveIn))}`

/** A former folder is out of the way at once, and gone when the shell comes to it. */
const renewing = (folder: string): string => {
  const [present, former] = [quoted(folder), quoted(`${folder}.old`)]
  const remove = `rm -rf ${former}`
  return `{ ${remove} && { [ ! -d ${present} ] || mv ${present} ${former}; } && mkdir -p -m 700 ${present}; } </dev/null && { ${remove} </dev/null >/dev/null 2>&1 & }`
}

export class Places {
  readonly #request: (command: string) => Promise<void>
  readonly #spares: SpareRuns | null
  #wanted: Wanted[] = []
  #isMaking = false

  /** `request` has a shell's command run. `spares`: a folder for run directories that are kept for later, absolute; null: none are. */
  constructor(request: (command: string) => Promise<void>, spares: string | null) {
    this.#request = request
    if (spares === null) {
      this.#spares = null
      return
    }
    const make = async (paths: readonly string[]): Promise<void> => await this.#makeAnew(paths, [])
    const renew = async (): Promise<void> => await this.#request(renewing(spares))
    this.#spares = new SpareRuns(spares, { make, renew })
  }

  /** Resolves when all of a run's places are there. */
  async make(place: Place): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#wanted.push({ ...place, done })
    if (!this.#isMaking) void this.#makeAll()
    await done.promise
  }

  /** Takes back the directory of a run that is over, for a later one. */
  async discard(runDirectory: string): Promise<void> {
    if ((await this.#spares?.keep(runDirectory)) !== true)
      await rm(runDirectory, { recursive: true, force: true })
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
    try {
      await this.#makeMany(batch)
      // Not waited for: the next batch is made meanwhile.
      void fewATurn(batch, ({ done }) => done.resolve())
    } catch (error) {
      for (const { done } of batch) done.reject(error)
    }
  }

  async #makeMany(places: readonly Place[]): Promise<void> {
    const runDirectories = places.map(({ runDirectory }) => runDirectory)
    const reused = runDirectories.slice(0, this.#spares?.count ?? 0)
    const [taken] = await Promise.all([
      Promise.all(reused.map(async (runDirectory) => await this.#take(runDirectory))),
      this.#makeAnew(
        runDirectories.slice(reused.length),
        places.flatMap(({ directories }) => directories),
      ),
    ])
    await this.#makeAnew(
      reused.filter((_directory, at) => taken[at] !== true),
      [],
    )
  }

  async #makeOne({ runDirectory, directories }: Place): Promise<void> {
    await makeDirectories(directories)
    const isTaken = await this.#take(runDirectory)
    this.#spares?.refill()
    if (isTaken) return
    await makeDirectories([runDirectory])
    await this.#makeFifos([runDirectory])
  }

  async #take(runDirectory: string): Promise<boolean> {
    return (await this.#spares?.take(runDirectory)) === true
  }

  async #makeAnew(runDirectories: readonly string[], others: readonly string[]): Promise<void> {
    const directories = [...others, ...runDirectories]
    if (directories.length === 0) return
    const fifos = runDirectories.length === 0 ? '' : ` && ${makingFifos(runDirectories)}`
    await this.#request(`{ mkdir -p -m 700 ${words(directories)}${fifos}; } </dev/null`)
  }

  async #makeFifos(runDirectories: readonly string[]): Promise<void> {
    await this.#request(`${makingFifos(runDirectories)} </dev/null`)
  }
}

/** Makes directories where they are missing. */
export const makeDirectories = async (paths: readonly string[]): Promise<void> => {
  // Off the event loop: the disk may be busy with a sync, and then each of them waits for it.
  for (const path of paths) await mkdir(path, { recursive: true, mode: MODE })
}
