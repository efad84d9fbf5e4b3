// Events of the whole cluster, and the questions between peers: asks every living member, this peer included, and answers
// the same questions of others, those about output too (log-gathering.ts asks them). A member that should answer and cannot
// is named in a notice; one that left for good took its own along.

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { textOf, utf8 } from '../../lib/bytes.ts'
import { TuttiError } from '../../lib/errors.ts'
import { canonicalJson } from '../../lib/order.ts'
import { isPresent } from '../plan/eligibility.ts'
import type { AgentPort, Output, PeerEvent, PeerMethod } from '../ports.ts'
import type { EventReply } from './api/contract-streams.ts'
import { fanIn, LIVE, type Marked, type Source } from './fan-in.ts'
import { fromParts, toParts } from './lines.ts'
import { isLogQuestion, OBJECT_BYTES, ownLines } from './log-lines.ts'
import { eventOf, mergeEvents, onceTold, type MergeableEvent } from './replies/events.ts'

export interface Gathering {
  readonly agent: AgentPort
  readonly output: Output
}

/** The largest question is a slot's name and three numbers. */
const QUESTION_BYTES_MAX = 4096
/** Events kept for one slow follower; beyond, the oldest are dropped: the ring still has them. */
const EVENTS_WAITING_MAX = 1000
/** Events in one answer: what each peer's ring holds, and as many as a person will ever read. */
export const EVENTS_MAX = 2000

const EventShape = Compile(
  Type.Object({
    at: Type.Number(),
    peer: Type.String(),
    kind: Type.String(),
    subject: Type.String(),
    message: Type.String(),
  }),
)
const EventQuestion = Type.Object({ follow: Type.Boolean() })
const EventQuestionShape = Compile(EventQuestion)

const isEvent = (value: unknown): value is MergeableEvent => EventShape.Check(value)

/** Answers what other peers ask for their own readers. Once per agent. */
export const answerQuestions = ({ agent, output }: Gathering): void => {
  agent.answer('logs', (_from, body, signal) => {
    return toParts(ownLines(output, questionOf(body, isLogQuestion), signal))
  })
  agent.answer('events', (_from, body, signal) => {
    const question = questionOf(body, (value) => EventQuestionShape.Check(value))
    return toParts(ownEvents(agent, question.follow, signal))
  })
}

/** @throws TuttiError `too-large`, `invalid`. */
export const questionOf = <T>(body: Uint8Array, isQuestion: (value: unknown) => value is T): T => {
  if (body.length > QUESTION_BYTES_MAX) throw new TuttiError('too-large', 'the question is too large')
  let value: unknown
  try {
    value = JSON.parse(textOf(body))
  } catch (cause) {
    throw new TuttiError('invalid', 'the question is not JSON', { cause })
  }
  if (!isQuestion(value)) throw new TuttiError('invalid', 'the question has an unknown form')
  return value
}

/** This peer's events: the kept ones, and, when followed, each new one. */
async function* ownEvents(
  agent: AgentPort,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<Marked<PeerEvent>> {
  const waiting: PeerEvent[] = []
  let wake: () => void = () => undefined
  const stopListening = follow
    ? agent.onEvent((event) => {
        waiting.push(event)
        if (waiting.length > EVENTS_WAITING_MAX) waiting.shift()
        wake()
      })
    : () => undefined
  const aborted = (): void => wake()
  signal.addEventListener('abort', aborted)
  try {
    yield* agent.events()
    if (!follow) return
    yield LIVE
    while (!signal.aborted) {
      const event = waiting.shift()
      if (event !== undefined) yield event
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    signal.removeEventListener('abort', aborted)
    stopListening()
  }
}

/** Every member but this one as a source of answers; those that cannot be asked fail with the reason. */
const otherSources = <T>(
  agent: AgentPort,
  method: PeerMethod,
  question: Uint8Array,
  isItem: (value: unknown) => value is T,
): readonly Source<T>[] => {
  const { self, view, membership } = agent.snapshot()
  const states = new Map(membership.members.map(({ id, state }) => [id, state]))
  return view.members
    .filter(({ id }) => id !== self && states.get(id) !== 'left')
    .map(({ id, name }) => ({
      name,
      open: (signal) => {
        const state = states.get(id) ?? 'dead'
        if (!isPresent(state)) throw new TuttiError('unreachable', `is ${state} and could not be asked`)
        return fromParts(agent.ask(id, method, question, signal), isItem)
      },
    }))
}

export const nameOfSelf = (agent: AgentPort): string => {
  const { self, view } = agent.snapshot()
  return view.members.find(({ id }) => id === self)?.name ?? self
}

const gatherRawEvents = (
  agent: AgentPort,
  follow: boolean,
  signal: AbortSignal,
): AsyncIterable<MergeableEvent> => {
  const self: Source<MergeableEvent> = {
    name: nameOfSelf(agent),
    open: (inner) => ownEvents(agent, follow, inner),
  }
  return fanIn<MergeableEvent>({
    sources: [self, ...otherSources(agent, 'events', utf8(canonicalJson({ follow })), isEvent)],
    follow,
    tail: EVENTS_MAX,
    at: ({ at }) => at,
    bytes: ({ message }) => message.length + OBJECT_BYTES,
    notice: (peer, reason) => ({
      at: Math.round(agent.snapshot().wall),
      peer,
      kind: 'peer',
      subject: peer,
      message: `its events are missing or incomplete: ${reason}`,
    }),
    signal,
  })
}

/** Events of all living members, by time, what several noticed told once. */
export const gatherEvents = async (agent: AgentPort, signal: AbortSignal): Promise<readonly EventReply[]> => {
  const events: MergeableEvent[] = []
  for await (const event of gatherRawEvents(agent, false, signal)) events.push(event)
  return mergeEvents([events], EVENTS_MAX)
}

/** The same, then every new one as it comes. */
export async function* followEvents(agent: AgentPort, signal: AbortSignal): AsyncGenerator<EventReply> {
  const isNew = onceTold()
  for await (const event of gatherRawEvents(agent, true, signal)) if (isNew(event)) yield eventOf(event)
}
