// The real process as an Io. The only file of the command line that touches process streams and signals.

import { createInterface } from 'node:readline/promises'
import { EXIT } from './exit.ts'
import { processBytes } from './process-bytes.ts'
import type { Io, Sink } from './io.ts'

const COLUMNS_DEFAULT = 80

const sinkOf = (stream: NodeJS.WriteStream): Sink => ({
  write: (text) => {
    stream.write(text)
  },
  get isTerminal() {
    // Undefined, whatever its type says, where it is no terminal.
    return stream.isTTY
  },
  get columns() {
    return stream.columns > 0 ? stream.columns : COLUMNS_DEFAULT
  },
})

/** The question goes to stderr: stdout may be piped, or belong to a JSON value. */
const askTerminal = async (question: string): Promise<string> => {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    // Ctrl-D is a no.
    return await Promise.race([
      lines.question(question),
      new Promise<string>((resolve) => lines.once('close', () => resolve(''))),
    ])
  } finally {
    lines.close()
  }
}

export const processIo = (): Io => {
  let interrupted: AbortController | null = null
  const interruption = (): AbortSignal => {
    if (interrupted !== null) return interrupted.signal
    const stop = new AbortController()
    interrupted = stop
    const onSignal = (): void => {
      // Whoever presses Ctrl-C twice wants out now.
      if (stop.signal.aborted) process.exit(EXIT.interrupted)
      stop.abort()
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
    // The terminal is closed. Elsewhere SIGHUP keeps its meaning, since nohup has it ignored.
    if (process.stdout.isTTY) process.on('SIGHUP', onSignal)
    return stop.signal
  }
  return {
    stdout: sinkOf(process.stdout),
    stderr: sinkOf(process.stderr),
    environment: process.env,
    directory: process.cwd(),
    // Looked at when somebody asks: standard input alone loads a tenth of what most commands need.
    get ask() {
      return process.stdin.isTTY ? askTerminal : null
    },
    interruption,
    bytes: processBytes,
  }
}
