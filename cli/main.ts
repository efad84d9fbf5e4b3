// The command line's entry, started by bin/tutti from the peer's bundle or from source. First of all it turns on Node.js's
// compile cache, which keeps stripped and compiled sources and halves the start. Then it runs the command line.

import { enableCompileCache } from 'node:module'
import { codeDirectory, runAndExit } from './entry.ts'

const directory = codeDirectory()
// It reports failure by its result and never throws: a read-only home costs time only.
if (directory !== null) enableCompileCache(directory)

void runAndExit(async () => {
  const { runCommandLine } = await import('./command-line.ts')
  return await runCommandLine()
})
