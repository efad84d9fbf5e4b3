// The command line's entry, started by bin/tutti. First of all it turns on Node.js's compile cache, which keeps stripped and
// compiled sources and halves the start; hence the imports of built-ins only. Then it binds the process to an Io.

import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/** Of this user alone, since whoever writes there runs code here; without a home there is no cache. */
const cacheDirectory = (): string | null => {
  const cache = process.env['XDG_CACHE_HOME'] ?? ''
  if (cache.startsWith('/')) return join(cache, 'tutti', 'compiled')
  const home = process.env['HOME'] ?? ''
  return home.startsWith('/') ? join(home, '.cache', 'tutti', 'compiled') : null
}

const directory = cacheDirectory()
// It reports failure by its result and never throws: a read-only home costs time only.
if (directory !== null) enableCompileCache(directory)

// A reader that has had enough (`tutti logs … | head`) is not an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
}

const main = async (): Promise<void> => {
  const { runCommandLine } = await import('./command-line.ts')
  const code = await runCommandLine()
  // Not process.exit at once: what was written to a pipe must leave first.
  process.exitCode = code
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}

// Not awaited here: one of the two bundles (bin/build.ts) is CommonJS, which knows no await outside of functions.
void main()
