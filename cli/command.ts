// The entry of the commands' bundle, started by bin/tutti: runs the command line, which is one script beside this one, with what
// V8 has compiled of it for the same command before.

import { join } from 'node:path'
import { loadScript } from './compiled-script.ts'
import { codeDirectory, runAndExit } from './entry.ts'
import { EXIT } from './exit.ts'

const [, , word = ''] = process.argv
const directory = codeDirectory()
// Each command calls functions of its own, and whatever a kept file has besides must be read each time. Only words that can
// be a command's name: files are named after them.
const kept =
  directory === null || !/^[a-z_][a-z_-]{0,31}$/.test(word) ? null : join(directory, `${word}.code`)
const script = loadScript<typeof import('./command-line.ts')>(
  join(import.meta.dirname, 'command-line.cjs'),
  kept,
)

const isHelp = process.argv.some((each) => each === '--help' || each === '-h')
void runAndExit(script.exports.runCommandLine, (code) => {
  // What is kept stays: only a run that has called what the command usually calls is worth it.
  if (!isHelp && (code === EXIT.done || code === EXIT.changes)) script.keep()
})
