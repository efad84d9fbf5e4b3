// Where instances run. In the directory that their definition names; within their package, which they share and may only read;
// or in one of their own. The own one lives as long as the instance's record, through all its restarts, and is there as well
// for who runs from a package, as the place for what it writes.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { InstanceId, PackageDigest } from '../../../../lib/ids.ts'
import type { ReleaseDefinition } from '../../../../crdt/schema/view.ts'
import { fileNameOf } from './record-text.ts'

/** Directories of one instance besides its working directory; null: it has none. */
export interface BesideDirectories {
  readonly own: string | null
  readonly package: string | null
}

export class Directories {
  readonly #folder: string
  readonly #packageDirectory: (digest: PackageDigest) => string

  /** @param folder where own directories are made. @param packageDirectory where a package lies, unpacked. */
  constructor(folder: string, packageDirectory: ((digest: PackageDigest) => string) | undefined) {
    this.#folder = folder
    this.#packageDirectory = packageDirectory ?? (() => join(folder, 'no-packages'))
  }

  workingOf(instance: InstanceId, definition: ReleaseDefinition): string {
    const { package: digest, workingDir } = definition
    if (digest !== undefined) return join(this.#packageDirectory(digest), workingDir ?? '')
    return workingDir ?? this.ownOf(instance)
  }

  ownOf(instance: InstanceId): string {
    return join(this.#folder, fileNameOf(instance))
  }

  packageOf(digest: PackageDigest): string {
    return this.#packageDirectory(digest)
  }

  /** What there is to be besides; the own directory is made with the run's. */
  besideOf(instance: InstanceId, { workingDir, package: digest }: ReleaseDefinition): BesideDirectories {
    const own = workingDir === null || digest !== undefined ? this.ownOf(instance) : null
    return { own, package: digest === undefined ? null : this.#packageDirectory(digest) }
  }

  async remove(instance: InstanceId): Promise<void> {
    await rm(this.ownOf(instance), { recursive: true, force: true })
  }
}
