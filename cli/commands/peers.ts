// `tutti peers` and what one can do to a peer: rm, cordon, uncordon, drain. What follows a drain is drain.ts's.

import { formatDuration, formatSize } from '../../lib/time.ts'
import type { ChangeReply, PeersReply } from '../../node/serve/api/contract.ts'
import { requestOf } from '../change-request.ts'
import { clientOf } from '../client.ts'
import { EXIT } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { cell, colourOfState, harmless, paintFor, short, table } from '../render.ts'
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
  const follows = kind === 'drain' && options.wait
  const failure = follows ? await (await import('./drain.ts')).followDrain(context, client, name) : null
  if (context.json) writeJson(context, follows ? { ...reply, converged: failure === null } : reply)
  else tellFreshness(context, { ...reply.asOf, digest: reply.digest })
  if (failure !== null) throw failure
  return EXIT.done
}
