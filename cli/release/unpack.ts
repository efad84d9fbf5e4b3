// A packed directory as it will be on the peers, for its tests: exactly the files of its manifest, with the modes that they
// get there. Copies from where the files were packed; nothing comes from a peer.

import { chmod, copyFile, mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { unreachable } from '../../lib/assert.ts'
import type { Packed } from '../package/pack.ts'

const PROGRAM_MODE = 0o755
const FILE_MODE = 0o644

/** Makes the directory, which must not exist, with what is in the package. */
export const unpackInto = async (target: string, { directory, manifest }: Packed): Promise<void> => {
  await mkdir(target, { recursive: true })
  for (const entry of manifest) {
    const path = join(target, entry.path)
    await mkdir(dirname(path), { recursive: true })
    switch (entry.kind) {
      case 'directory':
        await mkdir(path, { recursive: true })
        break
      case 'link':
        await symlink(entry.target, path)
        break
      case 'file':
        await copyFile(join(directory, entry.path), path)
        await chmod(path, entry.executable ? PROGRAM_MODE : FILE_MODE)
        break
      default:
        unreachable(entry)
    }
  }
}
