// Live progress: a block of lines that is redrawn in place on a terminal, and one plain line per change when piped. The
// block may shrink and grow; what is written before and after it is left alone.

import type { Sink } from './io.ts'
import { fitted, type Paint } from './render.ts'

/** One line of progress; `key` says whose line it is. `text` must be harmless already. */
export interface ProgressLine {
  readonly key: string
  readonly mark: 'waiting' | 'done' | 'failed'
  readonly text: string
}

const MARKS = {
  waiting: ['yellow', '…'],
  done: ['green', '✓'],
  failed: ['red', '✗'],
} as const

export class Progress {
  readonly #sink: Sink
  readonly #paint: Paint
  readonly #last = new Map<string, string>()
  #drawn = 0
  #frame = ''

  constructor(sink: Sink, paint: Paint) {
    this.#sink = sink
    this.#paint = paint
  }

  /** Shows the present lines. Nothing is written when nothing changed. */
  show(lines: readonly ProgressLine[]): void {
    if (!this.#sink.isTerminal) {
      for (const line of lines) {
        const text = `${line.key}: ${line.text}`
        if (this.#last.get(line.key) !== text) this.#sink.write(`${text}\n`)
        this.#last.set(line.key, text)
      }
      return
    }
    const width = Math.max(0, ...lines.map(({ key }) => key.length))
    const frame = lines
      .map(({ key, mark, text }) => {
        const [colour, sign] = MARKS[mark]
        // Two columns for the mark; one stays free, so that no line wraps and the count of lines stays true.
        const shown = fitted(`${key.padEnd(width)}  ${text}`, this.#sink.columns - 3)
        return `\u001b[2K${this.#paint(colour, sign)} ${shown}\n`
      })
      .join('')
    if (frame === this.#frame) return
    const back = this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A\u001b[J`
    this.#sink.write(`${back}${frame}`)
    this.#drawn = lines.length
    this.#frame = frame
  }

  /** Leaves the block where it is; what is shown next starts a new one. */
  settle(): void {
    this.#drawn = 0
    this.#frame = ''
  }
}
