// Live lines on a terminal, plain ones when piped.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Progress, type ProgressLine } from '../../cli/progress.ts'
import type { Paint } from '../../cli/render.ts'

const plain: Paint = (_colour, text) => text
const line = (key: string, text: string): ProgressLine => ({ key, mark: 'waiting', text })

const shown = (isTerminal: boolean, frames: readonly (readonly ProgressLine[])[]): string => {
  let written = ''
  const sink = { write: (text: string) => void (written += text), isTerminal, columns: 20 }
  const progress = new Progress(sink, plain)
  for (const frame of frames) progress.show(frame)
  return written
}

describe('Progress', () => {
  it('redraws its block in place and writes nothing when nothing changed', () => {
    const frames = [[line('a', '0/1')], [line('a', '0/1')], [line('a', '1/1'), line('bb', '0/1')]]
    assert.equal(
      shown(true, frames),
      '\u001b[2K… a  0/1\n\u001b[1A\u001b[J\u001b[2K… a   1/1\n\u001b[2K… bb  0/1\n',
    )
  })

  it('keeps each line to the width of the terminal', () => {
    assert.equal(shown(true, [[line('a', 'x'.repeat(50))]]), `\u001b[2K… a  ${'x'.repeat(13)}…\n`)
  })

  it('prints each change once when piped', () => {
    const frames = [
      [line('a', '0/1'), line('b', '1/1')],
      [line('a', '1/1'), line('b', '1/1')],
    ]
    assert.equal(shown(false, frames), 'a: 0/1\nb: 1/1\na: 1/1\n')
  })
})
