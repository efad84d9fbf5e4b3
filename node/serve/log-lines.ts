// Lines of output as they go between peers: their shape and the question's, checked, and this peer's own answer.

import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { LogLine, LogQuery, Output } from '../ports.ts'
import { LIVE, type Marked } from './fan-in.ts'

const LogLineShape = Compile(
  Type.Object({
    at: Type.Number(),
    peer: Type.String(),
    slot: Type.String(),
    instance: Type.String(),
    stream: Type.Enum(['stdout', 'stderr', 'notice'] as const),
    text: Type.String(),
    offset: Type.Number(),
  }),
)
const LogQuestion = Type.Object({
  of: Type.String(),
  tail: Type.Optional(Type.Integer({ minimum: 0 })),
  since: Type.Optional(Type.Number()),
  until: Type.Optional(Type.Number()),
  stream: Type.Optional(Type.Enum(['stdout', 'stderr'] as const)),
  grep: Type.Optional(Type.String()),
  follow: Type.Boolean(),
})
const LogQuestionShape = Compile(LogQuestion)

/** A line's size in memory: its text, and what every object costs. */
export const OBJECT_BYTES = 200

export const isLogLine = (value: unknown): value is LogLine => LogLineShape.Check(value)

export const isLogQuestion = (value: unknown): value is Static<typeof LogQuestion> =>
  LogQuestionShape.Check(value)

/** What this peer has, and, followed, gets. */
export async function* ownLines(
  output: Output,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<Marked<LogLine>> {
  for await (const item of output.read(query, signal)) yield 'live' in item ? LIVE : item
}
