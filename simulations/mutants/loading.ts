// Patches a source file as this process loads it. Node's own loader hooks do it, before types are stripped; they see each
// module once, so a process plants one mutant, before it loads what the mutant changes.

import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { assert } from '../../lib/assert.ts'
import type { Patch } from './mutant.ts'

const root = join(import.meta.dirname, '..', '..')

/** The source with the patch. @throws AssertionError when the place is not there exactly once. */
export const patched = (source: string, { file, find, replace }: Patch): string => {
  const parts = source.split(find)
  assert(parts.length === 2, `${file} has '${find}' ${parts.length - 1} times, and a mutant needs it once`)
  return parts.join(replace)
}

/** From now on the file is loaded with the patch. */
export const plantPatch = (patch: Patch): void => {
  const { href } = pathToFileURL(join(root, patch.file))
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context)
      if (url !== href) return loaded
      const { source } = loaded
      assert(source !== undefined && source !== null, `${patch.file} has a source`)
      const text = typeof source === 'string' ? source : new TextDecoder().decode(source)
      return { ...loaded, source: patched(text, patch) }
    },
  })
}
