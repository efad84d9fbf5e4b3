// Output of the whole cluster, by time. Followed, it goes on over everything that may happen to a peer: one that is lost, or
// was away from the beginning, is asked again once it is back, from where it was; one that joins is asked too. Nothing is
// told twice and nothing that is still kept is left out.

import { setTimeout } from 'node:timers/promises'
import { utf8 } from '../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../lib/errors.ts'
import type { MemberId } from '../../lib/ids.ts'
import { canonicalJson } from '../../lib/order.ts'
import { Told } from '../../lib/told.ts'
import { isPresent } from '../plan/eligibility.ts'
import type { AgentPort, LogLine, LogQuery } from '../ports.ts'
import type { LogReply } from './api/contract-streams.ts'
import { fanIn, LIVE, type Marked, type Source } from './fan-in.ts'
import { nameOfSelf, type Gathering } from './gathering.ts'
import { fromParts } from './lines.ts'
import { isLogLine, OBJECT_BYTES, ownLines } from './log-lines.ts'

/** Between two looks for a peer that is away: it has been seen dead for seconds, and one more is nothing. */
const RETRY_MS = 1000
/** Before the last line told: lines of one peer are told a tenth of a second late at most, and clocks are set. */
const OVERLAP_MS = 10_000

interface Asking {
  readonly agent: AgentPort
  readonly query: LogQuery
  /** Wall time when it began. */
  readonly startedAt: number
}

type Presence =
  { readonly kind: 'present' | 'left' | 'removed' } | { readonly kind: 'away'; readonly reason: string }

const presenceOf = (agent: AgentPort, id: MemberId): Presence => {
  const { view, membership } = agent.snapshot()
  if (!view.members.some((member) => member.id === id)) return { kind: 'removed' }
  const state = membership.members.find((member) => member.id === id)?.state ?? 'dead'
  if (state === 'left') return { kind: 'left' }
  return isPresent(state)
    ? { kind: 'present' }
    : { kind: 'away', reason: `is ${state} and could not be asked` }
}

const asked = (
  { agent, query }: Asking,
  id: MemberId,
  signal: AbortSignal,
): AsyncIterable<Marked<LogLine>> => {
  const { of, tail, since, until, stream, grep, follow = false } = query
  const question = utf8(canonicalJson({ of, tail, since, until, stream, grep, follow }))
  return fromParts(agent.ask(id, 'logs', question, signal), isLogLine)
}

const noticeOf = (agent: AgentPort, peer: string, reason: string): LogReply => ({
  at: Math.round(agent.snapshot().wall),
  peer,
  slot: '',
  instance: '',
  stream: 'notice',
  text: `its output is missing or incomplete: ${reason}`,
  offset: 0,
})

/** One answer of a member. @throws TuttiError `unreachable` and whatever the exchange fails with. */
const askedOnce = (asking: Asking, id: MemberId, signal: AbortSignal): AsyncIterable<Marked<LogLine>> => {
  const presence = presenceOf(asking.agent, id)
  if (presence.kind === 'away') throw new TuttiError('unreachable', presence.reason)
  return asked(asking, id, signal)
}

/** A member's answers, asked again whenever one ends, until it is removed. One notice an absence. */
async function* askedForEver(
  asking: Asking,
  member: { readonly id: MemberId; readonly name: string },
  signal: AbortSignal,
): AsyncGenerator<Marked<LogReply>> {
  const { agent, query, startedAt } = asking
  const told = new Told()
  let isLive = false
  let isMissing = false
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const presence = presenceOf(agent, member.id)
    if (presence.kind === 'removed') return
    let failure = presence.kind === 'away' ? presence.reason : null
    if (presence.kind === 'present') {
      const since = (told.at ?? startedAt) - OVERLAP_MS
      const resumed: Asking = isFirst ? asking : { ...asking, query: { ...query, since, tail: undefined } }
      told.askedAgain()
      try {
        for await (const item of asked(resumed, member.id, signal)) {
          isMissing = false
          if (item === LIVE && isLive) continue
          if (item === LIVE) isLive = true
          else {
            const stream = `${item.instance} ${item.stream}`
            if (told.has(stream, item.offset)) continue
            if (item.stream !== 'notice') told.note(stream, item.offset, item.at)
          }
          yield item
        }
      } catch (thrown) {
        failure = messageOf(thrown)
      }
    }
    if (signal.aborted) return
    if (!isLive) {
      isLive = true
      yield LIVE
    }
    if (failure !== null && !isMissing) {
      isMissing = true
      yield noticeOf(agent, member.name, failure)
    }
    // It fails only when it is aborted, and the loop sees that.
    await setTimeout(RETRY_MS, undefined, { signal }).catch(() => undefined)
  }
}

/**
 * Output of instances on all living members, by time; `notice` lines say whose is missing. Without a `tail`, which only
 * a follower may leave out, each member's lines come as it tells them.
 */
export const gatherLogs = (
  { agent, output }: Gathering,
  query: LogQuery,
  signal: AbortSignal,
): AsyncIterable<LogReply> => {
  const follow = query.follow === true
  const { self, view, wall } = agent.snapshot()
  const asking: Asking = { agent, query, startedAt: wall }
  const known = new Set<MemberId>([self])
  const sourceOf = (member: { readonly id: MemberId; readonly name: string }): Source<LogReply> => {
    known.add(member.id)
    return {
      name: member.name,
      open: (inner) => (follow ? askedForEver(asking, member, inner) : askedOnce(asking, member.id, inner)),
    }
  }
  const own: Source<LogReply> = { name: nameOfSelf(agent), open: (inner) => ownLines(output, query, inner) }
  const others = view.members
    .filter(({ id }) => id !== self && (follow || presenceOf(agent, id).kind !== 'left'))
    .map(sourceOf)
  return fanIn<LogReply>({
    sources: [own, ...others],
    follow,
    tail: query.tail,
    at: ({ at }) => at,
    bytes: ({ text }) => text.length + OBJECT_BYTES,
    notice: (peer, reason) => noticeOf(agent, peer, reason),
    signal,
    arrivals: (add) =>
      agent.onChange(() => {
        for (const member of agent.snapshot().view.members) if (!known.has(member.id)) add(sourceOf(member))
      }),
  })
}
