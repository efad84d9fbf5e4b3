// The environment of an instance: what the peer lends, what the operator wrote, what tutti says. Later ones win, so that
// an operator can change the PATH and nobody can change who the instance is. Values in, value out.

import { partsOfService, type ReleaseId, type ServiceId, type SlotId } from '../../lib/ids.ts'
import type { ReleaseDefinition } from '../../crdt/schema/view.ts'
import { firstPort } from '../plan/health.ts'

/** Everything that an environment is made of. */
export interface EnvironmentSource {
  readonly slot: SlotId
  readonly service: ServiceId
  readonly release: ReleaseId
  readonly definition: Pick<ReleaseDefinition, 'environment' | 'ports'>
  /** Named ports with the numbers they got. */
  readonly ports: Readonly<Record<string, number>>
  /** The peer's name. */
  readonly peer: string
  readonly nonce: string
  /** Of a run under a lease. */
  readonly fence?: number | undefined
  /** The peer's own environment; only the variables in PEER_VARIABLES are taken. */
  readonly peerEnvironment: Readonly<Record<string, string | undefined>>
  /** `TUTTI_USES_<SERVICE>`, as the links make them; and where its package is, if it has one. */
  readonly links: Readonly<Record<string, string>>
}

/** What programs can hardly do without and what says nothing about the peer's owner. */
export const PEER_VARIABLES = ['PATH', 'HOME', 'LANG', 'TZ'] as const

// POSIX leaves the PATH of a process without one to the system; this is what Debian's shells then take.
const PATH_DEFAULT = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A name as a variable's name writes it: `my-port` is `MY_PORT`. */
export const variableNameOf = (name: string): string => name.toUpperCase().replaceAll('-', '_')

/** The whole environment of one spawn. */
export const instanceEnvironment = (source: EnvironmentSource): Readonly<Record<string, string>> => {
  const environment: Record<string, string> = { PATH: PATH_DEFAULT }
  for (const name of PEER_VARIABLES) {
    const value = source.peerEnvironment[name]
    if (value !== undefined && value !== '') environment[name] = value
  }
  Object.assign(environment, source.definition.environment)
  const first = source.ports[firstPort(source.definition) ?? '']
  if (first !== undefined) environment['PORT'] = String(first)
  for (const [name, port] of Object.entries(source.ports))
    environment[`PORT_${variableNameOf(name)}`] = String(port)
  const { cell, name } = partsOfService(source.service)
  return {
    ...environment,
    ...source.links,
    TUTTI_CELL: cell,
    TUTTI_SERVICE: name,
    TUTTI_SLOT: source.slot,
    TUTTI_RELEASE: source.release,
    TUTTI_PEER: source.peer,
    TUTTI_NONCE: source.nonce,
    ...(source.fence === undefined ? {} : { TUTTI_FENCE: String(source.fence) }),
  }
}
