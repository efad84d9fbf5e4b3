// After a run has failed: keeps the last lines that it wrote, and, where a spawn was refused for good, looks whether what was
// missing is there. Neither delays anything; what follows from them is the plan's.

import { messageOf } from '../../lib/errors.ts'
import type { InstanceId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/time.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import type { Held, HeldInstances } from './held.ts'

// As much evidence as fits into a status that every member keeps: a few lines, and what is before a stack trace's end.
const LAST_LINES = 5
const LAST_LINE_CHARACTERS_MAX = 200
// A look at the disk costs microseconds, and whoever has just installed a program waits for it.
const LOOK_AGAIN_MS = 2000

/** What it is built from. */
export interface AftermathOptions {
  readonly held: HeldInstances
  readonly clock: Clock
  readonly log: Log
  readonly peer: { readonly environment: Readonly<Record<string, string | undefined>> }
  /** The last lines that an instance wrote: evidence when it failed. @default none */
  readonly lastLines?: (instance: InstanceId, count: number) => Promise<readonly string[]>
  /**
   * Whether what refused a spawn for good (no program, no directory) still does; reads the disk and spawns nothing.
   * @throws TuttiError while it does. @default it always does
   */
  readonly lookAgain?: (instance: InstanceId, definition: ReleaseDefinition, path: string) => void
}

/** Looks after instances whose run has failed. */
export class Aftermath {
  readonly #options: AftermathOptions

  constructor(options: AftermathOptions) {
    this.#options = options
  }

  /** Looks until what was missing is there; then the plan decides anew. */
  lookLater(held: Held): void {
    const { clock, held: all, lookAgain, peer } = this.#options
    if (lookAgain === undefined) return
    held.cancelLook = clock.after(LOOK_AGAIN_MS, () => {
      const { id, definition, phase } = held.facts
      if (all.isClosed || phase !== 'broken') return
      try {
        lookAgain(id, definition, definition.environment['PATH'] ?? peer.environment['PATH'] ?? '')
      } catch (error) {
        const message = messageOf(error)
        if (message !== held.facts.error) {
          all.set(held, { error: message })
          all.announce(false)
        }
        this.lookLater(held)
        return
      }
      // What is new is no failure: it starts without a pause.
      all.set(held, { refused: false, failuresInARow: 0, startedAtMs: 0 })
      all.announce(false)
    })
  }

  /** Remembers what the instance wrote last. Late by a read of the disk: no restart waits for it. */
  async keepEvidence(held: Held): Promise<void> {
    const { held: all, lastLines, log } = this.#options
    if (lastLines === undefined) return
    const { id } = held.facts
    try {
      const lines = await lastLines(id, LAST_LINES)
      const lastOutput = lines.map((line) => line.slice(0, LAST_LINE_CHARACTERS_MAX))
      if (all.isClosed || all.get(id) !== held) return
      all.set(held, { lastOutput })
      all.announce(false)
    } catch (error) {
      log.log('warn', `the last lines of ${id} could not be read`, { error })
    }
  }
}
