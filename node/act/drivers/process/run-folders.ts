// The directories of runs: where each is, whose process it names, and how it is fenced, so that a launch that may still be
// under way comes to nothing. What is in one of them is told.ts's to read. Starts and ends no process.

import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { defined } from '../../../../lib/assert.ts'
import { messageOf } from '../../../../lib/errors.ts'
import type { Log } from '../../../../lib/log.ts'
import type { ProcessIdentity } from './identity.ts'
import type { Launcher } from './spawner.ts'
import { toldIn } from './told.ts'

/** All run directories of one driver. */
export class RunFolders {
  readonly #folder: string
  readonly #launcher: Pick<Launcher, 'discard'>
  readonly #log: Log

  /** `folder`: absolute, its own; made where it is missing. `launcher`: who makes the directories of runs. */
  constructor(folder: string, launcher: Pick<Launcher, 'discard'>, log: Log) {
    this.#folder = folder
    this.#launcher = launcher
    this.#log = log
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** The directory of a run. */
  pathOf(nonce: string): string {
    return join(this.#folder, defined(/^[A-Za-z0-9_-]+$/.exec(nonce)?.[0], 'a plain nonce'))
  }

  /** Every directory that is there, sorted; `name` is the nonce, with an ending where it was fenced. */
  all(): readonly { readonly nonce: string; readonly name: string; readonly path: string }[] {
    return readdirSync(this.#folder)
      .toSorted()
      .map((name) => ({ nonce: name.replace(/\..*$/, ''), name, path: join(this.#folder, name) }))
  }

  /** The shim that a run's directory names; null: none got as far as that. */
  identityOf(nonce: string): ProcessIdentity | null {
    const folder = this.pathOf(nonce)
    return toldIn(folder).shim ?? toldIn(`${folder}.fenced`).shim
  }

  /** Gives a run up: its shim cannot start the program once its directory has another name. */
  fence(nonce: string): void {
    const folder = this.pathOf(nonce)
    rmSync(`${folder}.fenced`, { recursive: true, force: true })
    try {
      renameSync(folder, `${folder}.fenced`)
    } catch (error) {
      this.#log.log('debug', 'nothing to fence', { nonce, error: messageOf(error) })
    }
  }

  /** Removes what was fenced. */
  async dropFenced(nonce: string): Promise<void> {
    await rm(`${this.pathOf(nonce)}.fenced`, { recursive: true, force: true })
  }

  /** Removes everything of a run, fenced or not. */
  async drop(nonce: string): Promise<void> {
    await this.#launcher.discard(this.pathOf(nonce))
    await this.dropFenced(nonce)
  }
}
