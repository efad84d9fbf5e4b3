// `tutti peers` and what one can do to a peer: rm, cordon, uncordon, drain. Draining follows until the peer is empty.

import { formatDuration, formatSize } from '../../lib/time.ts'
import type { ChangeReply, PeersReply } from '../../node/serve/api/contract.ts'
import type { WatchReply } from '../../node/serve/api/contract-streams.ts'
import { requestOf } from '../change-request.ts'
import { clientOf, type Client } from '../client.ts'
import { EXIT, Failure } from '../exit.ts'
import { WAIT_DEFAULT_MS, follow } from '../follow.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { Progress } from '../progress.ts'
import { cell, colourOfState, counted, harmless, paintFor, short, table } from '../render.ts'
import { isConfirmed, tellFreshness, warn } from '../talk.ts'

/** `tutti peers` */
export const listPeers = async (context: Context): Promise<number> => {
  const reply = await clientOf(context).get<PeersReply>('/v1/peers')
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, environment } = context.io
  const head = ['NAME', 'STATE', 'INSTANCES', 'CPUS', 'MEMORY', 'LABELS', 'VERSION', 'DIGEST', 'AGE', 'ID']
  const rows = reply.peers.map((peer) => {
    const flags = [peer.cordoned ? 'cordoned' : '', peer.draining ? 'draining' : ''].filter(
      (flag) => flag !== '',
    )
    const labels = Object.entries(peer.labels).map(([key, value]) => `${key}=${value}`)
    return [
      cell(`${peer.name}${peer.self ? '*' : ''}`, peer.self ? 'bold' : null),
      cell([peer.state, ...flags].join(','), colourOfState(peer.state)),
      cell(peer.instances),
      cell(peer.capacity.cpus),
      cell(formatSize(peer.capacity.memory)),
      cell(labels.length === 0 ? '-' : labels.join(',')),
      cell(peer.version),
      cell(short(peer.digest)),
      cell(peer.ageMs === 0 ? '0s' : formatDuration(peer.ageMs)),
      cell(peer.id),
    ]
  })
  stdout.write(table(head, rows, stdout, paintFor(stdout, environment)))
  if (reply.braked)
    warn(
      context,
      'this peer lost sight of most others at once and takes nothing over until its view is stable',
    )
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

export interface PeerEditOptions {
  readonly yes: boolean
  readonly wait: boolean
}

/** `tutti peers rm|cordon|uncordon|drain NAME` */
export const editPeer = async (
  context: Context,
  kind: 'rm' | 'cordon' | 'uncordon' | 'drain',
  name: string,
  options: PeerEditOptions,
): Promise<number> => {
  const client = clientOf(context)
  const question = `remove peer ${name} from the cluster for good?`
  if (kind === 'rm' && !(await isConfirmed(context, options.yes, question))) {
    tell(context, 'nothing was changed')
    return EXIT.failed
  }
  const operation = { kind: kind === 'rm' ? 'remove-peer' : kind, peer: name } as const
  const message = `${kind === 'rm' ? 'remove peer' : kind} ${name}`
  const reply = await client.post<ChangeReply>('/v1/changes', requestOf(context, [operation], { message }))
  for (const warning of reply.warnings) warn(context, warning)
  const done = reply.change === null ? 'nothing to change' : `done as change ${short(reply.change)}`
  tell(context, `${harmless(message)}: ${done}`)
  const drained = kind === 'drain' && options.wait ? await followDrain(context, client, name) : null
  if (context.json)
    writeJson(context, drained === null ? reply : { ...reply, converged: drained.failure === null })
  else tellFreshness(context, { ...reply.asOf, digest: reply.digest })
  if (drained !== null && drained.failure !== null) throw drained.failure
  return EXIT.done
}

const RUNNING: ReadonlySet<string> = new Set([
  'pending',
  'fetching',
  'starting',
  'ready',
  'failing',
  'draining',
])

/** Follows until nothing runs on the peer any more. */
const followDrain = async (
  context: Context,
  client: Client,
  name: string,
): Promise<{ readonly failure: Failure | null }> => {
  const sink = context.json ? context.io.stderr : context.io.stdout
  const progress = new Progress(sink, paintFor(sink, context.io.environment))
  const left = (watch: WatchReply): string[] =>
    watch.slots.filter(({ peer, state }) => peer === name && RUNNING.has(state)).map(({ slot }) => slot)
  const outcome = await follow(
    context,
    client,
    context.timeoutMs ?? WAIT_DEFAULT_MS,
    (watch) => {
      const slots = left(watch)
      const text =
        slots.length === 0 ? 'empty' : `${counted(slots.length, 'instance')} left: ${slots.join(', ')}`
      progress.show([
        { key: harmless(name), mark: slots.length === 0 ? 'done' : 'waiting', text: harmless(text) },
      ])
      return slots
    },
    (slots) => slots.length === 0,
  )
  if (outcome.kind === 'done') return { failure: null }
  const code = outcome.kind === 'timeout' ? EXIT.timeout : EXIT.interrupted
  const slots = outcome.last ?? []
  const sentence = `${counted(slots.length, 'instance')} still on ${name}; it goes on draining, see tutti explain ${slots[0] ?? ''}`
  return { failure: new Failure(code, sentence.trimEnd()) }
}
