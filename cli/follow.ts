// Follows `/v1/watch` until a judgement says that it is over: keeps the stream open across a peer's restart, asks again
// between events (silence is information too), and stops at the deadline or at Ctrl-C.

import { setTimeout as delay } from 'node:timers/promises'
import { unreachable } from '../lib/assert.ts'
import { TuttiError, asTuttiError, messageOf } from '../lib/errors.ts'
import { formatDuration } from '../lib/time.ts'
import type { LogReply, WatchReply } from '../node/serve/api/contract-streams.ts'
import type { Client } from './client.ts'
import { Convergence, type Hindrance, type Verdict } from './convergence.ts'
import { EXIT, Failure } from './exit.ts'
import type { Context } from './io.ts'
import { Progress, type ProgressLine } from './progress.ts'
import { harmless, paintFor } from './render.ts'

/** How long `apply` and `--wait` wait where `--timeout` is not given: a slow start of many slots, one by one. */
export const WAIT_DEFAULT_MS = 5 * 60_000
// Often enough that a deadline is kept to a quarter of a second.
const TICK_MS = 250
// Where the time is up before the peer's first answer, this much longer: without an answer there is no reason to tell.
const FIRST_ANSWER_MS = 5000
// A restarted peer is back within a second or two.
const RECONNECT_MS = 500
// The cause of a crash is in its last lines.
const LOG_LINES = 10
// More failing slots than this fail alike.
const HINDRANCES_SHOWN_MAX = 3

export interface Outcome<T> {
  readonly kind: 'done' | 'timeout' | 'interrupted'
  /** The last judgement; null: the peer never said anything. */
  readonly last: T | null
  readonly elapsedMs: number
}

/**
 * Judges each state of the cluster until `isOver`. `judge` is called with monotonic milliseconds. The first answer is
 * waited for a little beyond the time, so that a timeout says what hinders.
 * @throws TuttiError when the peer cannot be reached at the first try, or refuses.
 */
export const follow = async <T>(
  context: Context,
  client: Client,
  timeoutMs: number,
  judge: (watch: WatchReply, nowMs: number) => T,
  isOver: (judgement: T) => boolean,
): Promise<Outcome<T>> => {
  const startMs = performance.now()
  const interrupted = context.io.interruption()
  const stop = new AbortController()
  let watch: WatchReply | null = null
  let last: T | null = null
  let failure: TuttiError | null = null
  let wake = (): void => undefined
  const reading = (async () => {
    while (!stop.signal.aborted) {
      try {
        for await (const next of client.events<WatchReply>('/v1/watch', {}, stop.signal)) {
          watch = next
          wake()
        }
      } catch (thrown) {
        const error = asTuttiError(thrown)
        if (watch === null || error.code !== 'unreachable') failure = error
        wake()
      }
      // It fails only when it is aborted, and the loop sees that.
      await delay(RECONNECT_MS, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  })()
  try {
    for (;;) {
      const nowMs = performance.now()
      if (failure !== null) throw failure as TuttiError
      if (watch !== null) last = judge(watch, nowMs)
      const elapsedMs = nowMs - startMs
      if (last !== null && isOver(last)) return { kind: 'done', last, elapsedMs }
      if (interrupted.aborted) return { kind: 'interrupted', last, elapsedMs }
      const patienceMs = last === null ? timeoutMs + FIRST_ANSWER_MS : timeoutMs
      if (elapsedMs >= patienceMs) return { kind: 'timeout', last, elapsedMs }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(TICK_MS, patienceMs - elapsedMs))
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  } finally {
    stop.abort()
    await reading
  }
}

/** Progress of a verdict, one line a service, and one for peers that are behind. */
export const linesOfVerdict = (verdict: Verdict): readonly ProgressLine[] => {
  const lines: ProgressLine[] = verdict.services.map(({ service, ready, desired, leaving, rest }) => {
    const isDone = ready === desired && leaving === 0 && rest === ''
    const isFailed =
      verdict.kind === 'failed' && verdict.hindrances.some(({ slot }) => slot.startsWith(`${service}/`))
    const text = `${ready}/${desired} ready${rest === '' ? '' : `, ${harmless(rest)}`}`
    return { key: harmless(service), mark: isDone ? 'done' : isFailed ? 'failed' : 'waiting', text }
  })
  if (verdict.behind.length > 0) {
    lines.push({
      key: 'peers',
      mark: 'waiting',
      text: `${harmless(verdict.behind.join(', '))} still to hear of it`,
    })
  }
  return lines
}

/** What following a change came to. */
export interface Convergent {
  readonly converged: boolean
  /** `majority` once more than half of all members were seen to have the change, else `local`: on one disk for sure. */
  readonly accepted: 'local' | 'majority'
  readonly durationMs: number
  readonly hindrances: readonly Hindrance[]
  /** To be thrown once everything is said; null: converged. */
  readonly failure: Failure | null
}

/** Follows the slots that `concerns` names until all are ready, with live progress; says what hinders when they are not. */
export const followConvergence = async (
  context: Context,
  client: Client,
  timeoutMs: number,
  concerns: (slot: string) => boolean,
  releases: Readonly<Record<string, string>> = {},
): Promise<Convergent> => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  const progress = new Progress(sink, paintFor(sink, context.io.environment))
  const convergence = new Convergence(concerns, releases)
  let accepted: Convergent['accepted'] = 'local'
  const outcome = await follow(
    context,
    client,
    timeoutMs,
    (watch, nowMs) => {
      const verdict = convergence.judge(watch, nowMs)
      progress.show(linesOfVerdict(verdict))
      if (verdict.isHeldByMajority) accepted = 'majority'
      return verdict
    },
    (verdict) => verdict.kind !== 'waiting',
  )
  progress.settle()
  const hindrances = outcome.last?.hindrances ?? []
  const durationMs = Math.round(outcome.elapsedMs)
  const failure = failureOf(outcome)
  if (failure !== null && (outcome.last?.rejection ?? null) === null)
    await tellHindrances(context, client, hindrances)
  return { converged: failure === null, accepted, durationMs, hindrances, failure }
}

const failureOf = (outcome: Outcome<Verdict>): Failure | null => {
  const count = outcome.last?.hindrances.length ?? 0
  const what = count === 0 ? 'the cluster is' : count === 1 ? '1 slot is' : `${count} slots are`
  switch (outcome.kind) {
    case 'interrupted':
      return new Failure(EXIT.interrupted, 'stopped waiting; the change stays, see tutti status')
    case 'timeout': {
      const after = formatDuration(outcome.elapsedMs)
      return new Failure(
        EXIT.timeout,
        `${what} not ready after ${after}; see tutti status, or wait longer with --timeout`,
      )
    }
    case 'done':
      if (outcome.last?.kind !== 'failed') return null
      if (outcome.last.rejection !== null) return new Failure(EXIT.failed, harmless(outcome.last.rejection))
      return new Failure(
        EXIT.failed,
        `${what} not ready and will not be by waiting; mend the cause and apply again`,
      )
    default:
      return unreachable(outcome.kind)
  }
}

/** On stderr: each hindered slot with its reason and the end of the wanted release's output. */
const tellHindrances = async (
  context: Context,
  client: Client,
  hindrances: readonly Hindrance[],
): Promise<void> => {
  const { stderr, environment } = context.io
  const paint = paintFor(stderr, environment)
  for (const { slot, peer, state, reason, release } of hindrances.slice(0, HINDRANCES_SHOWN_MAX)) {
    const where = peer === null ? '' : ` on ${peer}`
    const why = reason === '' ? '' : `: ${reason}`
    stderr.write(`${paint('red', harmless(slot))} is ${harmless(`${state}${where}${why}`)}\n`)
    if (peer === null) continue
    try {
      for await (const line of client.lines<LogReply>(
        '/v1/logs',
        { of: slot, tail: LOG_LINES },
        AbortSignal.timeout(3000),
      )) {
        // What an earlier release of the slot wrote explains nothing.
        const isOfRelease = line.instance === `${slot}@${release}`
        if (line.stream !== 'notice' && isOfRelease)
          stderr.write(`  ${paint('dim', '|')} ${harmless(line.text)}\n`)
      }
    } catch (thrown) {
      stderr.write(`  (its output cannot be read: ${harmless(messageOf(thrown))})\n`)
    }
  }
  const hidden = hindrances.length - HINDRANCES_SHOWN_MAX
  if (hidden > 0) stderr.write(`and ${hidden} more; see tutti status\n`)
}
