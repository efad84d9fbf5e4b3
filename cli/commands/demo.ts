// `tutti demo`: three peers on this machine, the example shop on them, and what to try. Stays until Ctrl-C and then
// removes everything; also when it fails half-way.

import { join } from 'node:path'
import { formatDuration } from '../../lib/time.ts'
import { compareStrings } from '../../lib/order.ts'
import type { ChangeReply, InstancesReply } from '../../node/serve/api/contract.ts'
import { loadCellFile } from '../cell-file/read.ts'
import { PEER_NAMES, Stage } from '../demo/stage.ts'
import { EXIT, Failure } from '../exit.ts'
import { followConvergence } from '../follow.ts'
import { tell, type Context } from '../io.ts'
import { PROJECT, type Launched } from '../launch.ts'
import { programPath } from '../program-name.ts'
import { counted, harmless, paintFor } from '../render.ts'

const SHOP = join(PROJECT, 'examples/shop')
// Ready takes a few seconds; a loaded machine gets patience.
const READY_TIMEOUT_MS = 60_000

export interface DemoOptions {
  /** The launcher of the peers; another one in tests. */
  readonly launcher?: string | undefined
}

/** `tutti demo` */
export const demo = async (context: Context, options: DemoOptions): Promise<number> => {
  const startMs = performance.now()
  const interrupted = context.io.interruption()
  const paint = paintFor(context.io.stdout, context.io.environment)
  const step = (words: string): void => tell(context, paint('dim', words))
  const stage = new Stage({ environment: context.io.environment, launcher: options.launcher, step })
  try {
    await stage.build(interrupted)
    const [first] = stage.peers
    if (first === undefined) return EXIT.failed
    const { cell } = loadCellFile('cell.yaml', SHOP, context.io.environment)
    step(`applying ${SHOP}/cell.yaml`)
    const operations = [{ kind: 'apply', cell }]
    await first.client.post<ChangeReply>('/v1/changes', { operations, message: 'the demo' })
    const timeoutMs = context.timeoutMs ?? READY_TIMEOUT_MS
    const outcome = await followConvergence(context, first.client, timeoutMs, (slot) =>
      slot.startsWith(`${cell.name}/`),
    )
    if (outcome.failure !== null) throw outcome.failure
    await tellTour(context, stage, first, performance.now() - startMs)
    await new Promise<void>((resolve) => {
      if (interrupted.aborted) resolve()
      interrupted.addEventListener('abort', () => resolve(), { once: true })
    })
    return EXIT.done
  } catch (thrown) {
    // Ctrl-C before it was ready is an end like any other.
    if (thrown instanceof Failure && thrown.exit === EXIT.interrupted) return EXIT.interrupted
    throw thrown
  } finally {
    step('removing the demo')
    const problems = await stage.strike()
    for (const problem of problems) context.io.stderr.write(`${harmless(problem)}\n`)
    step('everything is removed')
  }
}

/** What was done, where it runs, and what to try. */
const tellTour = async (
  context: Context,
  stage: Stage,
  first: Launched,
  elapsedMs: number,
): Promise<void> => {
  const paint = paintFor(context.io.stdout, context.io.environment)
  const { instances } = await first.client.get<InstancesReply>('/v1/instances')
  const where = PEER_NAMES.map((name) => {
    const slots = instances.filter(({ peer }) => peer === name).map(({ slot }) => slot)
    return `  ${paint('bold', name)}  ${slots.sort(compareStrings).join(', ')}`
  })
  const web = instances.find(({ service, state }) => service === 'web' && state === 'ready')
  const port = Object.values(web?.ports ?? {})[0]
  const [one, two] = stage.peers.map(({ socket }) => socket)
  const peers = counted(stage.peers.length, 'peer')
  const tutti = programPath(context.io)
  const took = formatDuration(elapsedMs)
  const lines = [
    paint('green', `${peers} and ${counted(instances.length, 'instance')} are ready after ${took}`),
    ...where,
    '',
    'try, in another terminal (any peer answers, and any peer takes an edit):',
    ...(port === undefined ? [] : [`  curl http://127.0.0.1:${port}/`]),
    `  export TUTTI_PEER=${one ?? ''}`,
    `  ${tutti} ps`,
    `  ${tutti} logs -f shop/web`,
    `  ${tutti} explain shop/web/0`,
    `  ${tutti} scale shop/web=5 --wait`,
    `  ${tutti} status --peer ${two ?? ''}`,
    `  kill -9 ${stage.peers[2]?.child.pid ?? ''}   # peer c dies; its programs run on, and ps shows who takes over`,
    '',
    'Ctrl-C removes it all',
  ]
  for (const line of lines) tell(context, line)
}
