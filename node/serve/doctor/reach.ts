// Who can be reached from here, and how: a plain TCP connection to every address of every other member, as a service that
// calls another makes one, and a question over the cluster's own connection. A bounded number at a time, within a bounded
// time. It judges nothing.

import { messageOf, TuttiError } from '../../../lib/errors.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { mergeAddresses } from '../../../net/addresses.ts'
import type { Reach } from '../../doctor/facts.ts'
import { hostPortIn, isLoopback, portOf } from '../../doctor/hosts.ts'
import { isPresent } from '../../plan/eligibility.ts'
import type { AgentSnapshot } from '../../ports.ts'

export interface ReachOptions {
  /** Why a TCP connection cannot be made; null: it can. */
  readonly connect: (host: string, port: number) => Promise<string | null>
  /** Resolves when the member has answered. */
  readonly greet: (member: MemberId) => Promise<unknown>
  readonly now: () => number
}

/** Members tried at the same time: two hundred take a few rounds, and no burst of a thousand handshakes. */
const AT_ONCE_MAX = 24
/** A machine has a few interfaces. */
const ADDRESSES_MAX = 8
/** After this no further member is tried: whoever asked waits for the answer. */
const ENOUGH_MS = 8000

/** The living first, since the dead cost a timeout each. In the order of names otherwise. */
export const reachOthers = async (
  snapshot: AgentSnapshot,
  { connect, greet, now }: ReachOptions,
): Promise<readonly Reach[]> => {
  const { self, view, statuses, membership } = snapshot
  const states = new Map(membership.members.map(({ id, state }) => [id, state]))
  const ownPorts = new Set((statuses.get(self)?.facts?.addresses ?? []).map((address) => portOf(address)))
  const others = view.members.filter(({ id }) => id !== self && states.get(id) !== 'left')
  const waiting = [
    ...others.filter(({ id }) => isPresent(states.get(id))),
    ...others.filter(({ id }) => !isPresent(states.get(id))),
  ]
  const deadlineMs = now() + ENOUGH_MS
  const found: Reach[] = []

  const tryAddress = async (address: string): Promise<Reach['tried'][number] | null> => {
    const target = hostPortIn(address)
    if (target === null) return null
    if (isLoopback(address) && ownPorts.has(target.port)) {
      return { address, failure: 'leads back to the caller itself', ms: 0 }
    }
    const began = now()
    const failure = await connect(target.host, target.port)
    return { address, failure: failure ?? '', ms: Math.round(now() - began) }
  }
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (now() > deadlineMs) return
      const { id, name, addresses } = next
      const known = mergeAddresses(statuses.get(id)?.facts?.addresses ?? [], addresses)
      const [failure, ...tried] = await Promise.all([
        greeted(greet(id)),
        ...known.slice(0, ADDRESSES_MAX).map(tryAddress),
      ])
      found.push({
        to: name,
        answered: failure === '',
        failure,
        tried: tried.filter((one) => one !== null),
      })
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE_MAX, waiting.length) }, lane))
  return found
}

/** Empty when it answered; a refusal is an answer, of an older or a busy peer. */
const greeted = async (greeting: Promise<unknown>): Promise<string> => {
  try {
    await greeting
    return ''
  } catch (thrown) {
    if (thrown instanceof TuttiError && thrown.code === 'refused') return ''
    return messageOf(thrown)
  }
}
