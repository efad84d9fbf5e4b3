// The terminal host: a small process of its own that holds one pseudo terminal with one command in it. It carries bytes
// between its pipes and the terminal, and tells the end over its IPC channel. A process, so that native code stays
// out of the peer, the terminal is inherited by nobody else, and the command is hung up when the peer dies
// (docs/adr/0013-exec.md). Started by terminal.ts; decides nothing.

import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { ReadStream } from 'node:tty'
import type { HostOrder, HostWord } from './host-words.ts'

/** What is used of the native package; the same since its beginnings. */
interface PtyBinding {
  fork(
    file: string,
    words: readonly string[],
    environment: readonly string[],
    directory: string,
    columns: number,
    rows: number,
    uid: number,
    gid: number,
    isUtf8: boolean,
    helper: string,
    exited: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number }
  resize(fd: number, columns: number, rows: number): void
}

/** After the hang-up: as long as a shell takes to save its history. */
const GRACE_MS = 2000
/** What Ctrl-D sends: the end of input, as a terminal says it. */
const END_OF_INPUT = '\x04'

const tell = (word: HostWord): void => {
  if (process.connected) process.send?.(word)
}

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]))

const load = (): PtyBinding | null => {
  try {
    return createRequire(import.meta.url)(
      `@lydell/node-pty-${process.platform}-${process.arch}/pty.node`,
    ) as PtyBinding
  } catch {
    return null
  }
}

const start = (order: Extract<HostOrder, { readonly kind: 'start' }>): void => {
  const binding = load()
  if (binding === null) {
    tell({ kind: 'unsupported' })
    process.disconnect()
    return
  }
  let exit: { readonly code: number | null; readonly signal: string | null } | null = null
  const { pid, fd } = binding.fork(
    order.file,
    order.words,
    Object.entries(order.environment).map(([name, value]) => `${name}=${value}`),
    order.directory,
    order.size.columns,
    order.size.rows,
    -1,
    -1,
    false,
    '',
    (code, signal) => {
      exit =
        signal === 0 ? { code, signal: null } : { code: null, signal: signalNames.get(signal) ?? 'SIGKILL' }
      finish()
    },
  )
  const terminal = new ReadStream(fd)
  let drained = false
  const finish = (): void => {
    // The end is told when all output has been read and written on.
    if (exit === null || !drained) return
    const told = exit
    process.stdout.write('', () => {
      tell({ kind: 'exit', ...told })
      process.disconnect()
      process.exit(0)
    })
  }
  const hangUp = (signal: NodeJS.Signals): void => {
    if (exit !== null || pid <= 1) return
    try {
      process.kill(-pid, signal)
    } catch {
      // Ended in this very moment.
    }
  }
  terminal.on('data', (bytes: Buffer) => {
    if (process.stdout.write(bytes)) return
    terminal.pause()
    process.stdout.once('drain', () => terminal.resume())
  })
  // Linux says EIO where others say end of file: the last process has closed the terminal.
  terminal.on('error', () => undefined)
  terminal.once('close', () => {
    drained = true
    finish()
  })
  process.stdin.on('data', (bytes: Buffer) => {
    if (drained || terminal.write(bytes)) return
    process.stdin.pause()
    terminal.once('drain', () => process.stdin.resume())
  })
  process.stdin.once('end', () => {
    if (!drained) terminal.write(END_OF_INPUT)
  })
  process.on('message', (message: HostOrder) => {
    if (message.kind === 'resize' && !drained) binding.resize(fd, message.size.columns, message.size.rows)
    if (message.kind === 'signal') hangUp(message.signal)
  })
  process.once('disconnect', () => {
    hangUp('SIGHUP')
    // A shell that was stopped hears the hang-up only once it goes on.
    hangUp('SIGCONT')
    setTimeout(() => {
      hangUp('SIGKILL')
      process.exit(0)
    }, GRACE_MS).unref()
    terminal.destroy()
  })
  tell({ kind: 'started' })
}

// A peer that is gone closes the pipes: writing into them is no failure worth a stack.
process.stdout.on('error', () => process.disconnect())
process.stdin.on('error', () => undefined)
process.once('message', (order: HostOrder) => {
  if (order.kind === 'start') start(order)
})
