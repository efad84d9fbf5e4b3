// A command in a pseudo terminal, held by a terminal host (terminal-host.ts) for as long as the command runs. Starts the
// host and speaks with it; everything about the terminal itself is there.

import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { TuttiError } from '../../../lib/errors.ts'
import type { TerminalSize } from '../../ports.ts'
import type { HostOrder, HostWord } from './host-words.ts'
import type { Launch, Running } from './running.ts'

/** Beside the bundle it is bundled too; from source it runs as it stands. */
const hostPath = (): string => {
  const [bundled, source] = ['terminal-host.js', 'terminal-host.ts'].map((name) =>
    fileURLToPath(new URL(name, import.meta.url)),
  )
  return bundled !== undefined && existsSync(bundled) ? bundled : (source ?? '')
}

/** A host allocates next to nothing: the same small young generation as the peer's (docs/adr/0007-bundle.md). */
const HOST_FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=1', '--disable-warning=ExperimentalWarning']

/** Starts a command in a terminal. @throws TuttiError `unsupported` where there are no terminals. */
export const startInTerminal = async (launch: Launch, size: TerminalSize): Promise<Running> => {
  const child = fork(hostPath(), [], {
    execArgv: HOST_FLAGS,
    // Nothing of the peer's: the command's own environment goes over the channel.
    env: {},
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore', 'ipc'],
  })
  const { stdin, stdout } = child
  const started = Promise.withResolvers<void>()
  const exited = Promise.withResolvers<{ readonly code: number | null; readonly signal: string | null }>()
  const order = (word: HostOrder): void => {
    if (child.connected) child.send(word, () => undefined)
  }
  child.on('message', (word: HostWord) => {
    if (word.kind === 'started') started.resolve()
    else if (word.kind === 'exit') exited.resolve({ code: word.code, signal: word.signal })
    else
      started.reject(
        new TuttiError(
          'unsupported',
          `the peer has no pseudo terminals (the package @lydell/node-pty-${process.platform}-${process.arch} is missing); leave the terminal out with -T`,
        ),
      )
  })
  const gone = (): void => {
    started.reject(new TuttiError('internal', 'the terminal host ended before the command was started'))
    // Killed from outside: the terminal is gone, and the command was hung up with it.
    exited.resolve({ code: null, signal: 'SIGHUP' })
  }
  child.once('exit', gone)
  child.once('error', gone)
  stdin?.on('error', () => undefined)
  order({ kind: 'start', size, ...launch })
  await started.promise
  return {
    outputs: stdout === null ? {} : { stdout },
    exited: exited.promise,
    write: (bytes) =>
      new Promise((resolve) => {
        if (stdin === null || stdin.destroyed) resolve()
        else stdin.write(bytes, () => resolve())
      }),
    end: () => stdin?.end(),
    resize: (to) => order({ kind: 'resize', size: to }),
    signal: (name) => order({ kind: 'signal', signal: name }),
    // The host hangs the command up when it is left alone.
    hangUp: () => {
      if (child.connected) child.disconnect()
    },
  }
}
