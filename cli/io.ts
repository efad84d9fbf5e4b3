// What a command may touch of the process: its streams, environment, directory, the person at the terminal and the
// interrupt. Commands take an Io so that tests run them in-process against buffers. Deliberately absent: the network,
// which is client.ts, and any formatting, which is render.ts.

/** One output stream. */
export interface Sink {
  write(text: string): void
  /** A person is watching: tables, colours and live lines make sense. */
  readonly isTerminal: boolean
  /** Width in characters; 80 where nobody knows. */
  readonly columns: number
}

/** A terminal that can be handed to somebody else's program. */
export interface Terminal {
  size(): { readonly columns: number; readonly rows: number }
  /** Raw: every key is a byte and nothing is echoed. Turned off again when the process ends, whatever ends it. */
  raw(on: boolean): void
  /** Returns what stops it. */
  onResize(listener: () => void): () => void
}

/** The process's streams as bytes, for a command that is somebody else's program. */
export interface Bytes {
  /** stdin, read as it is iterated. */
  readonly input: AsyncIterable<Uint8Array>
  /** Resolves when the stream takes more. */
  write(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void>
  /** The terminal on stdin; null: stdin is none. */
  readonly terminal: Terminal | null
  readonly outputIsTerminal: boolean
  /** SIGINT, SIGTERM and SIGHUP, which from then on do not end the process. Returns what stops it. */
  onSignal(listener: (signal: string) => void): () => void
}

export interface Io {
  readonly stdout: Sink
  readonly stderr: Sink
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Absolute working directory: what relative paths on the command line are relative to. */
  readonly directory: string
  /** Asks the person one question; null when nobody is there to answer. */
  readonly ask: ((question: string) => Promise<string>) | null
  /** Aborted at the first Ctrl-C or SIGTERM. From the first call on those no longer end the process by themselves. */
  interruption(): AbortSignal
  bytes(): Bytes
}

/** What every command is given: the process, and the options that all commands share. */
export interface Context {
  readonly io: Io
  /** `--peer`, as given; null: the default peer. */
  readonly peer: string | null
  /** `--token`, else `$TUTTI_TOKEN`. */
  readonly token: string | null
  readonly json: boolean
  /** `--timeout`; null: the command's own default. */
  readonly timeoutMs: number | null
  /** `--message` of a command that edits; null: the command says what it did. */
  readonly message: string | null
  /** `--if-digest` of a command that edits; null: nothing is asked. */
  readonly ifDigest: string | null
}

/** Writes a line for people: on stdout, or on stderr when stdout belongs to one JSON value. */
export const tell = (context: Context, line: string): void => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  sink.write(`${line}\n`)
}

/** Writes the one JSON value of `--json`. */
export const writeJson = (context: Context, value: unknown): void => {
  context.io.stdout.write(`${JSON.stringify(value, null, context.io.stdout.isTerminal ? 2 : 0)}\n`)
}
