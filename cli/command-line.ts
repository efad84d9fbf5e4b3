// The command line of this process: everything but its entry, which has the compile cache turned on before this is loaded.

import { processIo } from './process-io.ts'
import { runProgram } from './program.ts'

/** Runs what the process was started with; resolves with the exit code and never throws. */
export const runCommandLine = (): Promise<number> => runProgram(process.argv.slice(2), processIo())
