// Exec, as the face does it: chooses the instance, finds the peer that has it, and carries the conversation there; at that
// peer it checks who asks, runs the command and writes down that it did. How a command runs is node/act/exec's.

import { Compile } from 'typebox/compile'
import { asTuttiError, messageOf, TuttiError } from '../../lib/errors.ts'
import type { InstanceId, MemberId, SlotId } from '../../lib/ids.ts'
import { serviceOfSlot } from '../../lib/ids.ts'
import { sortedBy } from '../../lib/order.ts'
import { formatDuration } from '../../lib/time.ts'
import { serviceOf } from '../../crdt/edits.ts'
import { nearest } from '../../crdt/nearest.ts'
import type { InstanceState } from '../../crdt/schema/status.ts'
import type { AgentPort, Exec, ExecInput, ExecRequest } from '../ports.ts'
import { ExecOpening } from './api/contract-exec.ts'
import { decodeOpening, decodeSaid, encodeHeard, encodeOpening, type Heard } from './api/exec-wire.ts'
import { referenceOf } from './api/references.ts'
import { outsideError } from './api/statuses.ts'
import { compareSlots, nameOf, type Reading, type Sighting } from './replies/reading.ts'
import { Type } from 'typebox'

export interface ExecDesk {
  readonly agent: AgentPort
  readonly exec: Exec
  readonly reading: () => Reading
}

/** What one peer asks of another: the opening, with the instance in place of its name. */
const ExecQuestion = Type.Object({ instance: Type.String({ maxLength: 400 }), opening: ExecOpening })
const ExecQuestionShape = Compile(ExecQuestion)
const ExecOpeningShape = Compile(ExecOpening)

/** Of a command, in an event: what a person recognizes it by. */
const COMMAND_SHOWN_MAX = 200

/** In this order an instance is chosen: who serves comes first, then who may be looked into all the same. */
const CHOICE: readonly InstanceState[] = ['ready', 'failing', 'starting', 'draining']

/** The messages that a caller hears, from its opening and what it says. Ends with `exit`, `missing` or `failed`; never throws. */
export async function* exec(
  desk: ExecDesk,
  opening: Uint8Array,
  said: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    const asked = openingOf(opening)
    const { agent, reading } = desk
    const { sighting, running } = choose(reading(), asked)
    const peer = sighting.member.view.name
    yield encodeHeard({ kind: 'chosen', slot: sighting.status.slot, peer, running })
    const question = encodeOpening({ instance: sighting.id, opening: asked })
    const member = sighting.member.view.id
    const { self } = agent.snapshot()
    yield* member === self
      ? runHere(desk, self, question, said, signal)
      : runThere(agent, { member, peer }, question, said, signal)
  } catch (thrown) {
    yield failed(thrown)
  }
}

/** Answers other peers' questions. Once per agent. */
export const answerExecs = (desk: ExecDesk): void => {
  desk.agent.answer('exec', (from, body, signal, input) => runHere(desk, from, body, input, signal))
}

const failed = (thrown: unknown): Uint8Array => {
  const { code, message } = outsideError(thrown)
  return encodeHeard({ kind: 'failed', code, message })
}

const openingOf = (bytes: Uint8Array): ExecOpening => {
  const value = decodeOpening(bytes)
  if (ExecOpeningShape.Check(value)) return value
  const [error] = ExecOpeningShape.Errors(value)
  throw new TuttiError(
    'invalid',
    `the opening of an exec is malformed: ${error?.instancePath ?? ''} ${error?.message ?? ''}`.trim(),
  )
}

/** @throws TuttiError `unknown`, `conflict` when it does not run, `unreachable` when its peer is gone. */
const choose = (
  reading: Reading,
  { of }: ExecOpening,
): { readonly sighting: Sighting; readonly running: number } => {
  const { service, slot } = referenceOf({ of })
  const { view } = reading.snapshot
  serviceOf(view, service)
  const named = slot ?? service
  const slots = new Set([
    ...reading.placements.keys(),
    ...reading.sightings.map(({ status }) => status.slot as SlotId),
  ])
  const own = sortedBy(
    [...slots].filter((each) => serviceOfSlot(each) === service),
    (each) => each,
  )
  if (slot !== undefined && !slots.has(slot))
    throw new TuttiError(
      'unknown',
      `there is no slot '${slot}'${nearest(slot, own) || `; tutti ps ${service} lists them`}`,
    )
  const sightings = reading.sightings.filter(({ status }) =>
    slot === undefined ? serviceOfSlot(status.slot as SlotId) === service : status.slot === slot,
  )
  const living = sightings
    .filter(({ member, status }) => member.present && status.pid !== null && CHOICE.includes(status.state))
    .toSorted(
      (a, b) =>
        CHOICE.indexOf(a.status.state) - CHOICE.indexOf(b.status.state) ||
        compareSlots(a.status.slot, b.status.slot),
    )
  const [chosen] = living
  if (chosen !== undefined) return { sighting: chosen, running: living.length }
  const lost = sightings.find(({ member }) => !member.present)
  if (lost !== undefined)
    throw new TuttiError(
      'unreachable',
      `${lost.status.slot} is on peer '${lost.member.view.name}', which is ${lost.member.state}; see tutti peers`,
    )
  const [first] = sightings
  const why = first === undefined ? 'nothing of it is started' : `it is ${first.status.state}`
  const reason = first === undefined || first.status.reason === '' ? '' : `: ${first.status.reason}`
  throw new TuttiError('conflict', `${named} does not run, ${why}${reason}; see tutti status ${service}`)
}

/** Carries the conversation to the peer that has the instance. */
async function* runThere(
  agent: AgentPort,
  to: { readonly member: MemberId; readonly peer: string },
  question: Uint8Array,
  said: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* agent.ask(to.member, 'exec', question, signal, said)
  } catch (thrown) {
    // `refused` is a sentence of the other peer, such as that it is too old to know the question.
    const { code, message } = asTuttiError(thrown)
    if (code === 'refused') throw new TuttiError('unsupported', `peer '${to.peer}' says: ${message}`)
    if (code === 'unreachable')
      throw new TuttiError(
        'unreachable',
        `lost peer '${to.peer}', and with it the command; see tutti peers`,
        { cause: thrown },
      )
    throw thrown
  }
}

/** Runs a command in an instance of this peer for a member. Never throws: what fails is heard. */
async function* runHere(
  { agent, exec: runner, reading }: ExecDesk,
  from: MemberId,
  body: Uint8Array,
  said: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    const now = reading()
    const { snapshot } = now
    const asker = nameOf(now, from)
    if (snapshot.view.members.find(({ id }) => id === from)?.role !== 'operator')
      throw new TuttiError('forbidden', `peer '${asker}' is no operator; ask another peer to run commands`)
    const request = requestOf(body)
    const local = snapshot.local.find(({ id }) => id === request.instance)
    if (local?.phase !== 'running')
      throw new TuttiError('conflict', `${request.instance} does not run any more; see tutti ps`)
    const words = shown(request.command)
    const subject = local.slot
    const began = snapshot.nowMs
    const note = (message: string): void => agent.note({ kind: 'exec', subject, message })
    const where = request.terminal === null ? '' : ' in a terminal'
    let outcome = 'the caller left'
    let started = false
    try {
      for await (const output of runner.run(request, inputOf(said), signal)) {
        if (output.kind === 'missing') outcome = output.message
        else if (!started) {
          started = true
          note(`runs ${words}${where}, asked through peer ${asker}`)
        }
        if (output.kind === 'exit') outcome = exitWords(output)
        yield encodeHeard(output)
      }
    } catch (thrown) {
      outcome = messageOf(thrown)
      throw thrown
    } finally {
      const lasted = formatDuration(agent.snapshot().nowMs - began)
      note(
        started
          ? `${words} ended after ${lasted}: ${outcome}`
          : `did not run ${words} for peer ${asker}: ${outcome}`,
      )
    }
  } catch (thrown) {
    yield failed(thrown)
  }
}

const exitWords = ({ code, signal }: Extract<Heard, { readonly kind: 'exit' }>): string =>
  signal === null ? `exit status ${code ?? 'unknown'}` : signal

const requestOf = (body: Uint8Array): ExecRequest => {
  const question = decodeOpening(body)
  if (!ExecQuestionShape.Check(question)) throw new TuttiError('invalid', 'the question has an unknown form')
  const { instance, opening } = question
  return {
    instance: instance as InstanceId,
    command: opening.command,
    environment: opening.environment ?? {},
    workingDir: opening.workingDir ?? null,
    terminal: opening.terminal ?? null,
  }
}

async function* inputOf(said: AsyncIterable<Uint8Array>): AsyncGenerator<ExecInput, void, void> {
  for await (const message of said) yield decodeSaid(message)
}

/** A command as a person would type it, cut to a line. Variables given to it are not shown: they may be secret. */
const shown = (command: readonly string[]): string => {
  const words = command.map((word) =>
    /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
  )
  const line = words.join(' ').replace(/\s+/g, ' ')
  return line.length <= COMMAND_SHOWN_MAX ? line : `${line.slice(0, COMMAND_SHOWN_MAX)}…`
}
