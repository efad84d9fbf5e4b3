// Replaces one file so that after any crash it is the old one or the new one, and durably.

import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory, writeFully } from './files.ts'

/** What a replacement is called until it is whole; one that is left over means nothing. */
export const DRAFT = '.tmp'

/** @throws what the system throws; then the file is as it was. */
export const replaceFile = async (path: string, bytes: Uint8Array): Promise<void> => {
  const draft = path + DRAFT
  try {
    const handle = await open(draft, 'w', 0o600)
    try {
      await writeFully(handle, bytes, 0)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, path)
    await syncDirectory(dirname(path))
  } catch (thrown) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw thrown
  }
}
