// The real process's streams as bytes, its terminal and its signals, for `tutti exec`. Restores the terminal whatever
// ends the process. Beside process-io.ts, the only file that touches them.

import { spawnSync } from 'node:child_process'
import type { Bytes, Terminal } from './io.ts'

const COLUMNS_DEFAULT = 80
const ROWS_DEFAULT = 24
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const terminal: Terminal = {
  // The window is the output's; where that is piped, nobody knows it.
  size: () => ({
    columns: process.stdout.columns > 0 ? process.stdout.columns : COLUMNS_DEFAULT,
    rows: process.stdout.rows > 0 ? process.stdout.rows : ROWS_DEFAULT,
  }),
  raw: (on) => {
    process.stdin.setRawMode(on)
    // Node.js leaves output processing on, which adds a return to every line of a program that has its own. What was
    // before is restored by setRawMode(false); without stty lines merely have that return twice.
    if (on) spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
    const restore = (): void => void process.stdin.setRawMode(false)
    // Also where main.ts ends the process because a reader of its output has gone.
    if (on) process.once('exit', restore)
  },
  onResize: (listener) => {
    process.stdout.on('resize', listener)
    return () => process.stdout.off('resize', listener)
  },
}

export const processBytes = (): Bytes => ({
  input: process.stdin as AsyncIterable<Uint8Array>,
  write: (stream, bytes) =>
    new Promise((resolve) => {
      process[stream].write(bytes, () => resolve())
    }),
  terminal: process.stdin.isTTY ? terminal : null,
  outputIsTerminal: process.stdin.isTTY && process.stdout.isTTY,
  onSignal: (listener) => {
    for (const signal of SIGNALS) process.on(signal, listener)
    return () => {
      for (const signal of SIGNALS) process.off(signal, listener)
    }
  },
})
