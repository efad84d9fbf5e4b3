// What the two entries of the command line share: main.ts, which the peer's bundle and the sources begin with, and command.ts,
// which the commands' bundle begins with. Built-ins only, since it runs before anything has been cached.

import { join } from 'node:path'

/**
 * Where compiled code is kept from one run to the next: of this user alone, since whoever writes there runs code here. Null:
 * without a home there is no such place.
 */
export const codeDirectory = (): string | null => {
  const cache = process.env['XDG_CACHE_HOME'] ?? ''
  if (cache.startsWith('/')) return join(cache, 'tutti', 'compiled')
  const home = process.env['HOME'] ?? ''
  return home.startsWith('/') ? join(home, '.cache', 'tutti', 'compiled') : null
}

/** Runs the command line and ends the process with its code; `last` is called when all that it wrote has left. */
export const runAndExit = async (
  run: () => Promise<number>,
  last: (code: number) => void = () => undefined,
): Promise<void> => {
  // A reader that has had enough (`tutti logs … | head`) is not an error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  }
  const code = await run()
  process.exitCode = code
  // Not process.exit at once: what was written to a pipe must leave first.
  process.stdout.write('', () =>
    process.stderr.write('', () => {
      last(code)
      process.exit(code)
    }),
  )
}
