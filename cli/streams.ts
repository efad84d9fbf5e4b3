// Readers of what a peer streams: NDJSON (one JSON value a line) and server-sent events (WHATWG HTML §9.2). Text chunks
// in, values out, whatever way the chunks were cut. Nothing here knows a socket.

import { TuttiError } from '../lib/errors.ts'

// One line is one value: a log line of at most 64 kB, or the slots of the largest cluster in some 4 MB.
const LINE_CHARACTERS_MAX = 16 * 1024 * 1024

/** JSON, or a sentence instead of a syntax error. @throws TuttiError `internal`. */
export const jsonOf = (text: string, source: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new TuttiError('internal', `what answers on ${source} does not speak tutti's API; check --peer`, {
      cause,
    })
  }
}

/** The chunks cut into lines, without their ends. A last line without an end counts. */
async function* splitLines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    rest += chunk
    if (rest.length > LINE_CHARACTERS_MAX) {
      throw new TuttiError('too-large', 'the peer sent a line without end; check --peer')
    }
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
  }
  if (rest !== '') yield rest
}

/** The values of an NDJSON stream; empty lines are keep-alives. */
export async function* linesOf(chunks: AsyncIterable<string>, source: string): AsyncGenerator {
  for await (const line of splitLines(chunks)) if (line.trim() !== '') yield jsonOf(line, source)
}

/** The data of each server-sent event; comments, names and ids are skipped, an event without its blank line is not yielded. */
export async function* eventsOf(chunks: AsyncIterable<string>, source: string): AsyncGenerator {
  let lines: string[] = []
  for await (const line of splitLines(chunks)) {
    if (line === '') {
      if (lines.length > 0) yield jsonOf(lines.join('\n'), source)
      lines = []
    } else if (line.startsWith('data:')) {
      lines.push(line.slice(line.startsWith('data: ') ? 6 : 5))
    }
  }
}
