// One spawner: a small shell that runs what the peer writes into its input and answers each request with its status, in
// order. Its death rejects what it has not answered. Who asks for what, and what a death means, is spawner.ts's.

import { spawn, type ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { TuttiError } from '../../../../lib/errors.ts'
import { quoted } from './launch.ts'

/** What a spawner is started with, and whom it tells. */
export interface SpawnerShellOptions {
  readonly shell: string
  readonly environment: Readonly<Record<string, string>>
  /** It answered: it works. */
  readonly answered: () => void
  /** It is gone; once. Not called after `close`. */
  readonly died: () => void
}

const SCRIPT = fileURLToPath(new URL('spawner.sh', import.meta.url))

export class SpawnerShell {
  readonly #child: ChildProcess
  /** Requests without an answer: answers come in the order of requests. */
  readonly #waiting: PromiseWithResolvers<void>[] = []
  #closed = false

  constructor({ shell, environment, answered, died }: SpawnerShellOptions) {
    const child = spawn(shell, ['-s'], {
      // Its own session: a Ctrl-C in the peer's terminal is not for it.
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: environment,
      cwd: '/',
    })
    this.#child = child
    child.stdin?.write(`. ${quoted(SCRIPT)}\n`)
    let isGone = false
    const gone = (): void => {
      if (isGone) return
      isGone = true
      if (!this.#closed) died()
      for (const answer of this.#waiting.splice(0))
        answer.reject(new TuttiError('internal', 'the spawner died'))
    }
    child.once('exit', gone)
    child.once('error', gone)
    // Its death is heard by `exit`; a write into its closed pipe says nothing more.
    child.stdin?.on('error', () => undefined)
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (status) => {
        answered()
        const answer = this.#waiting.shift()
        if (status === '0') answer?.resolve()
        else answer?.reject(new TuttiError('internal', `the spawner failed with status ${status}`))
      })
    }
    // The spawner must not keep a peer alive that has nothing else to do.
    child.unref()
    for (const stream of [child.stdin, child.stdout]) if (stream instanceof Socket) stream.unref()
  }

  get pid(): number | null {
    return this.#child.pid ?? null
  }

  /** Requests that it has not answered yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Has a command run; rejects when its status is not 0. */
  async request(command: string): Promise<void> {
    const answer = Promise.withResolvers<void>()
    this.#waiting.push(answer)
    this.#child.stdin?.write(`${command}\necho "$?"\n`)
    await answer.promise
  }

  /** Ends it after what it was asked, and nothing that it launched. */
  close(): void {
    this.#closed = true
    this.#child.stdin?.destroy()
  }
}
