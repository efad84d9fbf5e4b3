// Chunks as earlier versions kept them, a file for each in 256 folders: they are written to segments, once, and the files go.
// Without it, peers of a cluster that were all brought to this version would have lost what only they had.

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asTuttiError } from '../../../lib/errors.ts'
import type { ChunkDigest } from '../../../lib/ids.ts'
import type { ChunkSegments } from './chunk-segments.ts'

const FOLDER = /^[0-9a-f]{2}$/
const DRAFTS = 'drafts'

/** Folder by folder, so that little more room is taken than before. What is damaged goes. @throws TuttiError `storage`. */
export const takeOldChunks = async (folder: string, chunks: ChunkSegments): Promise<void> => {
  for (const name of await readdir(folder)) {
    if (name !== DRAFTS && !FOLDER.test(name)) continue
    const path = join(folder, name)
    const digests = name === DRAFTS ? [] : await readdir(path)
    for (const digest of digests) {
      try {
        await chunks.write(digest as ChunkDigest, await readFile(join(path, digest)))
      } catch (thrown) {
        if (asTuttiError(thrown).code !== 'invalid') throw thrown
      }
    }
    await chunks.sync(digests as ChunkDigest[])
    await rm(path, { recursive: true })
  }
}
