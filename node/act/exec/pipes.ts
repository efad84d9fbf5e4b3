// A command whose input and outputs are pipes: a child in a session of its own. Spawned by the peer itself: an exec is
// rare, and the spawner shell cannot hand pipes over (docs/adr/0013-exec.md has the measurement). Decides nothing.

import { spawn } from 'node:child_process'
import { messageOf, TuttiError } from '../../../lib/errors.ts'
import type { Launch, Running } from './running.ts'
import { signalOwnGroup } from './running.ts'

/** Starts a command with pipes. @throws TuttiError `invalid` when the kernel refuses to run it. */
export const startWithPipes = async ({ file, words, environment, directory }: Launch): Promise<Running> => {
  const child = spawn(file, words, { cwd: directory, env: environment, detached: true, stdio: 'pipe' })
  const exited = Promise.withResolvers<{ readonly code: number | null; readonly signal: string | null }>()
  let over = false
  child.once('exit', (code, signal) => {
    over = true
    exited.resolve({ code, signal })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) =>
      reject(new TuttiError('invalid', `the command could not be started: ${messageOf(cause)}`, { cause })),
    )
  })
  const { stdin, stdout, stderr, pid } = child
  // A command that reads no input, or ended, is no failure.
  stdin.on('error', () => undefined)
  child.on('error', () => undefined)
  const signal = (name: NodeJS.Signals): void => {
    if (!over && pid !== undefined) signalOwnGroup(pid, name)
  }
  return {
    outputs: { stdout, stderr },
    exited: exited.promise,
    write: (bytes) =>
      new Promise((resolve) => {
        // Resolves on failure as well: what nobody reads is dropped.
        if (stdin.destroyed) resolve()
        else stdin.write(bytes, () => resolve())
      }),
    end: () => stdin.end(),
    resize: () => undefined,
    signal,
    hangUp: () => signal('SIGTERM'),
  }
}
