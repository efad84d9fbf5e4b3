// Draining: following one peer until it is empty, with what holds its slots up, and the walk over a whole fleet, one
// machine at a time: drain, run the operator's command, wait until the peer has come back and the cluster has settled,
// uncordon, next. The walk stops at the first thing that is not as it should be and says how to go on; it keeps no state.

import { spawn } from 'node:child_process'
import { TuttiError, asTuttiError, messageOf } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/time.ts'
import type { ChangeReply, PeersReply, StatusReply } from '../../node/serve/api/contract.ts'
import type { WatchReply } from '../../node/serve/api/contract-streams.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT, Failure } from '../exit.ts'
import { WAIT_DEFAULT_MS, follow } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { Progress } from '../progress.ts'
import { counted, harmless, paintFor } from '../render.ts'
import { isConfirmed } from '../talk.ts'

type PeerRow = PeersReply['peers'][number]

const RUNNING: ReadonlySet<string> = new Set([
  'pending',
  'fetching',
  'starting',
  'ready',
  'failing',
  'draining',
])

/** Blockers shown of a drain; the others are alike. */
const SHOWN_MAX = 4
/** A machine's firmware, its disks and its peer: most are back within two minutes. */
const REBOOT_MAX_MS = 10 * 60_000
/** Between two looks at a peer that restarts. */
const LOOK_MS = 500

/** Why a slot is still on a peer that drains, in words that follow the slot; empty: nothing is in the way. */
const blockerOf = (watch: WatchReply, slot: string, name: string): string => {
  const next = watch.slots.find((row) => row.slot === slot && row.peer !== name && row.desired)
  if (next === undefined) return ''
  const why = next.reason === '' ? '' : `: ${next.reason}`
  if (next.peer === null) return ` (nobody can take it${why})`
  return next.state === 'ready' ? ` (ready on ${next.peer})` : ` (${next.state} on ${next.peer}${why})`
}

/** Follows until nothing runs on the peer any more. Null: it is empty. */
export const followDrain = async (
  context: Context,
  client: Client,
  name: string,
): Promise<Failure | null> => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  const progress = new Progress(sink, paintFor(sink, context.io.environment))
  const outcome = await follow(
    context,
    client,
    context.timeoutMs ?? WAIT_DEFAULT_MS,
    (watch) => {
      const slots = watch.slots
        .filter(({ peer, state }) => peer === name && RUNNING.has(state))
        .map(({ slot }) => slot)
      const shown = slots.slice(0, SHOWN_MAX).map((slot) => `${slot}${blockerOf(watch, slot, name)}`)
      const more = slots.length > SHOWN_MAX ? `, and ${slots.length - SHOWN_MAX} more` : ''
      const text =
        slots.length === 0 ? 'empty' : `${counted(slots.length, 'instance')} left: ${shown.join(', ')}${more}`
      const mark = slots.length === 0 ? 'done' : 'waiting'
      progress.show([{ key: harmless(name), mark, text: harmless(text) }])
      return { slots, blocker: shown[0] ?? '' }
    },
    ({ slots }) => slots.length === 0,
  )
  progress.settle()
  if (outcome.kind === 'done') return null
  const code = outcome.kind === 'timeout' ? EXIT.timeout : EXIT.interrupted
  const { slots = [], blocker = '' } = outcome.last ?? {}
  const first = slots[0] ?? ''
  const sentence = `${counted(slots.length, 'instance')} still on ${name}, ${blocker}; it goes on draining, see tutti explain ${first}`
  return new Failure(code, harmless(sentence.trimEnd()))
}

export interface WalkOptions {
  readonly hook: string
  readonly yes: boolean
  /** The peer to begin with, where an earlier walk stopped; undefined: the first. */
  readonly from: string | undefined
}

/** `tutti peers drain --all --reboot-hook CMD` */
export const drainAll = async (context: Context, options: WalkOptions): Promise<number> => {
  const client = clientOf(context)
  const { peers } = await client.get<PeersReply>('/v1/peers')
  const walk = walkOf(peers, options.from)
  const names = walk.map(({ name }) => name)
  const question = `drain ${names.join(', ')}, one after another, and run '${options.hook}' for each?`
  if (!(await isConfirmed(context, options.yes, question))) {
    tell(context, 'nothing was changed')
    return EXIT.failed
  }
  const done: string[] = []
  for (const peer of walk) {
    try {
      await step(context, client, peer, options.hook)
      done.push(peer.name)
    } catch (thrown) {
      if (context.json) writeJson(context, { done, failed: peer.name, reason: messageOf(thrown) })
      const exit = thrown instanceof Failure ? thrown.exit : EXIT.failed
      const next = `go on with tutti peers drain --all --from ${peer.name} --reboot-hook …`
      throw new Failure(exit, harmless(`stopped at ${peer.name}: ${messageOf(thrown)}; mend it and ${next}`))
    }
  }
  if (context.json) writeJson(context, { done, failed: null, reason: '' })
  else tell(context, `${counted(done.length, 'peer')} done: ${done.join(', ')}`)
  return EXIT.done
}

/** By name; the peer that answers comes last, since it is the one that is asked. @throws TuttiError `refused`, `unknown`. */
const walkOf = (peers: readonly PeerRow[], from: string | undefined): readonly PeerRow[] => {
  const ordered = [...peers.filter(({ self }) => !self), ...peers.filter(({ self }) => self)]
  const begin = from === undefined ? 0 : ordered.findIndex(({ name }) => name === from)
  if (begin < 0)
    throw new TuttiError('unknown', `there is no peer '${from ?? ''}' to begin with; see tutti peers`)
  const missing = ordered.find(({ state }) => state !== 'alive')
  if (missing !== undefined && missing.name !== from)
    throw new TuttiError(
      'refused',
      `${missing.name} is ${missing.state}; bring it back or remove it, so that one machine is away at a time`,
    )
  return ordered.slice(begin)
}

const step = async (context: Context, client: Client, peer: PeerRow, hook: string): Promise<void> => {
  await settled(context, client, peer.name)
  const before = await lookAt(client, peer.name)
  await client.post<ChangeReply>('/v1/changes', {
    operations: [{ kind: 'drain', peer: peer.name }],
    message: `drain ${peer.name} for a reboot`,
  })
  const failure = await followDrain(context, client, peer.name)
  if (failure !== null) throw failure
  tell(context, `${harmless(peer.name)}: runs the hook`)
  await runHook(context, peer, hook)
  await back(context, client, peer.name, before?.startedAt ?? 0)
  await client.post<ChangeReply>('/v1/changes', {
    operations: [{ kind: 'uncordon', peer: peer.name }],
    message: `uncordon ${peer.name} after its reboot`,
  })
  await settled(context, client, peer.name)
  tell(context, `${harmless(peer.name)}: back`)
}

/** With what the command may want to know in its environment. @throws Failure when it does not exit with 0. */
const runHook = async (context: Context, { name, addresses }: PeerRow, hook: string): Promise<void> => {
  const child = spawn('/bin/sh', ['-c', hook], {
    cwd: context.io.directory,
    env: { ...context.io.environment, TUTTI_PEER_NAME: name, TUTTI_PEER_ADDRESS: hostOf(addresses[0] ?? '') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const sink = context.json ? context.io.stderr : context.io.stdout
  child.stdout.setEncoding('utf8').on('data', (text: string) => sink.write(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => context.io.stderr.write(text))
  const end = await new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve(signal === null ? `exited with ${code ?? 0}` : `was ended by ${signal}`),
    )
  })
  if (end !== 'exited with 0') throw new Failure(EXIT.failed, `the hook ${end}; ${name} stays drained`)
}

/** The host of a multiaddr; the address itself where it has another form. */
const hostOf = (address: string): string => /^\/(?:ip4|ip6|dns[46]?)\/([^/]+)/.exec(address)?.[1] ?? address

/** Null: the peer that is asked does not answer, or does not know it. */
const lookAt = async (client: Client, name: string): Promise<PeerRow | null> => {
  try {
    const { peers } = await client.get<PeersReply>('/v1/peers')
    return peers.find((peer) => peer.name === name) ?? null
  } catch (thrown) {
    const { code } = asTuttiError(thrown)
    if (code === 'unreachable' || code === 'timeout' || code === 'not-ready') return null
    throw thrown
  }
}

/** Looks until it holds. @throws Failure when it does not in time, or at Ctrl-C. */
const until = async (
  context: Context,
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean>,
): Promise<void> => {
  const fromMs = performance.now()
  const interrupted = context.io.interruption()
  while (!(await holds())) {
    if (interrupted.aborted) throw new Failure(EXIT.interrupted, `stopped waiting until ${what}`)
    if (performance.now() - fromMs > timeoutMs)
      throw new Failure(EXIT.timeout, `not within ${formatDuration(timeoutMs)}: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/** Until the peer runs again that ran since `startedAt`. */
const back = async (context: Context, client: Client, name: string, startedAt: number): Promise<void> => {
  await until(context, `${name} was restarted and is alive`, context.timeoutMs ?? REBOOT_MAX_MS, async () => {
    const now = await lookAt(client, name)
    return now?.state === 'alive' && now.startedAt !== undefined && now.startedAt !== startedAt
  })
}

/** Until every living peer is settled and no slot is unfulfilled. */
const settled = async (context: Context, client: Client, name: string): Promise<void> => {
  await until(
    context,
    `the cluster has settled beside ${name}`,
    context.timeoutMs ?? WAIT_DEFAULT_MS,
    async () => {
      try {
        const { settled, cells } = await client.get<StatusReply>('/v1/status')
        return (
          settled &&
          cells.every(({ services }) => services.every(({ unfulfilled }) => unfulfilled.length === 0))
        )
      } catch (thrown) {
        if (asTuttiError(thrown).code === 'unreachable') return false
        throw thrown
      }
    },
  )
}
