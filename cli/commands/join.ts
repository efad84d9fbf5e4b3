// `tutti join TICKET`: this machine's running peer joins the ticket's cluster; where none runs, one is started behind and
// left running. Returns when it is admitted and in sync.

import { TuttiError } from '../../lib/errors.ts'
import type { JoinReply, PeersReply } from '../../node/serve/api/contract.ts'
import { clientOf } from '../client.ts'
import { defaultDataDirectory } from '../default-data.ts'
import { EXIT, UsageError } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { START_TIMEOUT_MS, launchPeer, untilInSync, type Launched } from '../launch.ts'
import { counted, harmless, short } from '../render.ts'

// Dialling every address of a ticket and fetching the document; a minute means that no address answers.
const JOIN_TIMEOUT_MS = 60_000

/** `tutti join TICKET` */
export const join = async (
  context: Context,
  ticket: string,
  options: { readonly name: string | undefined },
): Promise<number> => {
  if (!ticket.startsWith('tutti1-')) {
    throw new UsageError('that is not a ticket; copy the whole line that tutti invite printed')
  }
  const body = { ticket: ticket.trim(), ...(options.name === undefined ? {} : { name: options.name }) }
  try {
    const reply = await clientOf(context).post<JoinReply>(
      '/v1/join',
      body,
      context.timeoutMs ?? JOIN_TIMEOUT_MS,
    )
    if (context.json) writeJson(context, reply)
    else {
      const line = `peer ${reply.name} joined cluster ${short(reply.cluster)} of ${counted(reply.members, 'peer')}`
      tell(context, harmless(line))
    }
    return EXIT.done
  } catch (thrown) {
    const isNone = thrown instanceof TuttiError && thrown.code === 'unreachable'
    const isOurs = context.peer === null && (context.io.environment['TUTTI_PEER'] ?? '') === ''
    if (!isNone || !isOurs) throw thrown
  }
  return startAndJoin(context, ticket.trim(), options.name)
}

const startAndJoin = async (context: Context, ticket: string, name: string | undefined): Promise<number> => {
  const data = defaultDataDirectory(context.io.environment)
  const peer = launchPeer({
    data,
    options: name === undefined ? [] : ['--name', name],
    // By the environment, not by argv, which every user of the machine can read.
    environment: { ...context.io.environment, TUTTI_TICKET: ticket },
    detached: true,
  })
  let reply: PeersReply
  try {
    reply = await untilInSync(peer, 1, context.timeoutMs ?? START_TIMEOUT_MS, context.io.interruption())
  } catch (thrown) {
    if (peer.child.exitCode === null) peer.child.kill('SIGTERM')
    await peer.gone
    throw thrown
  }
  peer.child.unref()
  tellJoined(context, peer, reply)
  return EXIT.done
}

const tellJoined = (context: Context, peer: Launched, reply: PeersReply): void => {
  const self = reply.peers.find(({ self }) => self)
  const pid = peer.child.pid ?? 0
  if (context.json) {
    const { cluster } = reply
    writeJson(context, {
      cluster,
      id: self?.id ?? '',
      name: self?.name ?? '',
      members: reply.peers.length,
      pid,
    })
    return
  }
  const where = `cluster ${short(reply.cluster)} of ${counted(reply.peers.length, 'peer')}`
  tell(context, harmless(`peer ${self?.name ?? ''} started and joined ${where}`))
  context.io.stderr.write(
    `it runs behind as process ${pid}, log in ${peer.logFile}; end it with kill ${pid}\n`,
  )
}
