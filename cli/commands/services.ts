// `tutti ls`, `ps` and `status`: services, instances, and health in full. Filters are applied here, so that an answer
// always tells a name that does not exist from one without instances.

import { TuttiError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/time.ts'
import type {
  ConflictReply,
  InstancesReply,
  ServicesReply,
  StatusReply,
} from '../../node/serve/api/contract.ts'
import type { Static } from 'typebox'
import { clientOf } from '../client.ts'
import { suggestion } from '../cell-file/problem.ts'
import { EXIT } from '../exit.ts'
import { tell, writeJson, type Context } from '../io.ts'
import { typable } from '../program-name.ts'
import { isWithin, parseRef, type Ref } from '../refs.ts'
import { cell, colourOfState, harmless, paintFor, short, table, timeText, type Paint } from '../render.ts'
import { tellFreshness } from '../talk.ts'

const ago = (at: number, now: number): string => (at <= 0 ? '-' : formatDuration(Math.max(0, now - at)))

const isNothing = (ref: Ref | null, count: number): boolean => ref === null && count === 0
const NOTHING = 'no services yet; add some with tutti apply -f cell.yaml'

/** `tutti ls` */
export const listServices = async (context: Context): Promise<number> => {
  const reply = await clientOf(context).get<ServicesReply>('/v1/services')
  if (context.json) {
    writeJson(context, reply)
    return EXIT.done
  }
  const { stdout, stderr, environment } = context.io
  if (reply.services.length === 0) stderr.write(`${typable(NOTHING, context.io)}\n`)
  else {
    const head = ['SERVICE', 'MODE', 'READY', 'RELEASE', 'PORTS', 'COMMAND']
    const rows = reply.services.map((service) => {
      const isWhole = service.ready >= service.desired
      const ready = service.stopped ? 'stopped' : `${service.ready}/${service.desired}`
      return [
        cell(`${service.cell}/${service.name}`),
        cell(service.mode),
        cell(ready, service.stopped ? 'dim' : isWhole ? 'green' : 'yellow'),
        cell(service.release),
        cell(service.ports.join(',') || '-'),
        cell(service.command.join(' ')),
      ]
    })
    stdout.write(table(head, rows, stdout, paintFor(stdout, environment)))
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

/** `tutti ps [CELL[/SERVICE[/SLOT]]]` */
export const listInstances = async (context: Context, of: string | undefined): Promise<number> => {
  const ref = of === undefined ? null : parseRef(of, 'a cell, service or slot', 1, 3)
  const client = clientOf(context)
  const reply = await client.get<InstancesReply>('/v1/instances')
  const instances = reply.instances.filter(({ slot }) => ref === null || isWithin(ref, slot))
  if (ref !== null && instances.length === 0) await requireKnown(context, ref)
  if (context.json) {
    writeJson(context, { ...reply, instances })
    return EXIT.done
  }
  const { stdout, stderr, environment } = context.io
  if (instances.length === 0)
    stderr.write(isNothing(ref, 0) ? 'no instances\n' : `no instances of ${of ?? ''}\n`)
  else {
    const head = ['SLOT', 'PEER', 'STATE', 'ADDRESS', 'PID', 'RELEASE', 'FOR', 'RESTARTS', 'REASON']
    const rows = instances.map((instance) => {
      const ports = Object.entries(instance.ports).map(([name, port]) => `${name}=${instance.host}:${port}`)
      return [
        cell(instance.slot),
        cell(instance.peer),
        cell(instance.state, colourOfState(instance.state)),
        cell(ports.join(',') || '-'),
        cell(instance.pid ?? '-'),
        cell(instance.release),
        cell(ago(instance.since, reply.asOf.at)),
        cell(instance.restarts, instance.restarts > 0 ? 'yellow' : null),
        cell(reasonOf(instance)),
      ]
    })
    stdout.write(table(head, rows, stdout, paintFor(stdout, environment)))
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

/** Of what runs under a lease: its token, and what is left of the lease where the answering peer knows. */
const reasonOf = ({ reason, fence, lease }: InstancesReply['instances'][number]): string => {
  if (fence === undefined) return reason || '-'
  const left = lease === undefined ? '' : `, ${formatDuration(lease.leftMs)} left`
  return `${reason === '' ? '' : `${reason}; `}lease ${lease?.token ?? fence}${left}`
}

/** Throws where a filter names a cell or service that does not exist. @throws TuttiError `unknown`. */
const requireKnown = async (context: Context, ref: Ref): Promise<void> => {
  const { services } = await clientOf(context).get<ServicesReply>('/v1/services')
  const known = services.map(({ cell, name }) => (ref.service === null ? cell : `${cell}/${name}`))
  const wanted = ref.service === null ? ref.cell : `${ref.cell}/${ref.service}`
  if (known.includes(wanted)) return
  const near = suggestion(wanted, known) || '; see tutti ls'
  throw new TuttiError('unknown', `there is no ${ref.service === null ? 'cell' : 'service'} ${wanted}${near}`)
}

/** `tutti status [CELL[/SERVICE]]` */
export const showStatus = async (context: Context, of: string | undefined): Promise<number> => {
  const ref = of === undefined ? null : parseRef(of, 'a cell or a service', 1, 2)
  const reply = await clientOf(context).get<StatusReply>('/v1/status')
  const cells = reply.cells
    .map(({ name, services }) => ({
      name,
      services: services.filter((service) => ref === null || isWithin(ref, `${name}/${service.name}`)),
    }))
    .filter(({ services }) => ref === null || services.length > 0)
  if (ref !== null && cells.length === 0) await requireKnown(context, ref)
  if (context.json) {
    writeJson(context, { ...reply, cells })
    return EXIT.done
  }
  const { stdout, environment } = context.io
  const paint = paintFor(stdout, environment)
  tell(context, reply.settled ? paint('green', 'settled') : paint('yellow', 'not settled'))
  for (const { peer, reason } of reply.waiting) tell(context, `  ${harmless(`${peer}: ${reason}`)}`)
  for (const { name, copies, wanted, since } of reply.packages ?? []) {
    const text = `package ${name} for ${ago(since, reply.asOf.at)}: ${copies} of ${wanted} copies`
    tell(context, `  ${paint('red', 'unfulfilled')} ${harmless(text)}`)
  }
  if (isNothing(ref, cells.length)) context.io.stderr.write(`${typable(NOTHING, context.io)}\n`)
  for (const { name, services } of cells) {
    tell(context, paint('bold', harmless(name)))
    for (const service of services) stdout.write(statusOfService(name, service, reply.asOf.at, paint))
  }
  tellFreshness(context, reply.asOf)
  return EXIT.done
}

type ServiceStatus = StatusReply['cells'][number]['services'][number]

const statusOfService = (name: string, service: ServiceStatus, now: number, paint: Paint): string => {
  const isWhole = service.ready >= service.desired && service.unfulfilled.length === 0
  const words = service.stopped
    ? paint('dim', 'stopped')
    : paint(isWhole ? 'green' : 'yellow', `${service.ready}/${service.desired} ready`)
  const flags = service.releasing ? paint('yellow', ', releasing') : ''
  const lines = [
    `  ${harmless(`${name}/${service.name}`)}: ${words}${flags} ${paint('dim', `release ${service.release}`)}`,
  ]
  for (const { slot, peer, reason, since, output } of service.unfulfilled) {
    const where = peer === null ? '' : ` on ${peer}`
    const text = `${slot}${where} for ${ago(since, now)}: ${reason}`
    lines.push(`    ${paint('red', 'unfulfilled')} ${harmless(text)}`)
    for (const line of output) lines.push(`      ${paint('dim', '|')} ${harmless(line)}`)
  }
  for (const { slot, holder, token, leftMs } of service.leases ?? []) {
    const text = `lease of ${slot}: ${holder}, token ${token}, ${formatDuration(leftMs)} left`
    lines.push(`    ${paint('dim', harmless(text))}`)
  }
  for (const conflict of service.conflicts)
    lines.push(`    ${paint('yellow', 'conflict')} ${harmless(conflictLine(conflict))}`)
  return lines.map((line) => `${line}\n`).join('')
}

/** One conflict in words. */
export const conflictLine = ({
  path,
  value,
  winner,
  author,
  change,
  at,
}: Static<typeof ConflictReply>): string => {
  const when = at > 0 ? ` at ${timeText(at)}` : ''
  return `${path}: ${winner} won over ${value} by ${author}${when} (change ${short(change)})`
}
