// `tutti install-service` and `tutti uninstall-service`: the peer as a service of the machine. Reads the options, refuses
// what `up` would refuse, and says what was done; units and files are cli/service's. A ticket never gets into a unit,
// which everybody may read: the service is started first, and then it joins.

import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { CommanderError } from 'commander'
import { messageOf } from '../../lib/errors.ts'
import type { JoinReply, PeersReply } from '../../node/serve/api/contract.ts'
import { Client } from '../client.ts'
import { defaultDataDirectory, socketOf } from '../default-data.ts'
import { EXIT, Failure, UsageError } from '../exit.ts'
import { tell, type Context } from '../io.ts'
import { START_TIMEOUT_MS } from '../launch.ts'
import { counted, harmless, short } from '../render.ts'
import { contentOf, installUnit, removeUnit, unitPathOf, type Place } from '../service/install.ts'
import { fleetingReason, launcherPath, servicePath } from '../service/launch-path.ts'
import { systemd, type ServiceManager } from '../service/systemd.ts'
import { dataOfUnit, unitFileOf, unitOf } from '../service/unit.ts'
import { isConfirmed, warn } from '../talk.ts'
import { LOG_LEVEL_DEFAULT, parseUpWords, type UpFlags } from '../tree/up-options.ts'
import { peerOptionsOf } from './up.ts'

interface PlaceOptions {
  readonly user: boolean
  readonly name: string
  readonly root: string | undefined
  readonly yes: boolean
}

export interface InstallOptions extends PlaceOptions {
  readonly data: string | undefined
  readonly print: boolean
  /** Options of `tutti up`. */
  readonly words: readonly string[]
}

export interface UninstallOptions extends PlaceOptions {
  readonly stopInstances: boolean
}

/** A started peer is asked this often whether it answers. */
const POLL_MS = 100
/** Dialling every address of a ticket and fetching the document. */
const JOIN_TIMEOUT_MS = 60_000

const placeOf = ({ io }: Context, { name, user, root }: PlaceOptions): Place => {
  unitFileOf(name)
  const config = io.environment['XDG_CONFIG_HOME'] ?? ''
  const home = io.environment['HOME'] ?? ''
  return {
    name,
    user,
    root: root === undefined ? null : resolve(io.directory, root),
    config: isAbsolute(config) ? config : join(home === '' ? homedir() : home, '.config'),
  }
}

/** The words behind `--`, as `up` understands them. @throws UsageError. */
const upFlagsOf = (words: readonly string[]): UpFlags => {
  try {
    return parseUpWords(words)
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    throw new UsageError(`${messageOf(thrown).replace(/^error: /, '')}; see tutti up --help`, {
      cause: thrown,
    })
  }
}

/** How each option of `up` gets into the unit: a new one does not compile without its words here. */
const UNIT_WORDS: Readonly<Record<keyof UpFlags, (flags: UpFlags) => readonly string[]>> = {
  // A word of the unit itself.
  data: () => [],
  name: ({ name }) => (name === undefined ? [] : ['--name', name]),
  listen: ({ listen = [] }) => (listen.length === 0 ? [] : ['--listen', ...listen]),
  api: ({ api }) => (api === undefined ? [] : ['--api', api]),
  label: ({ label = [] }) => (label.length === 0 ? [] : ['--label', ...label]),
  // Secrets, and everybody may read a unit.
  join: () => [],
  token: () => [],
  packageBudget: ({ packageBudget }) =>
    packageBudget === undefined ? [] : ['--package-budget', String(packageBudget)],
  logLevel: ({ logLevel }) => (logLevel === LOG_LEVEL_DEFAULT ? [] : ['--log-level', logLevel]),
}

/** The options of `up` for the unit: all but secrets and the data directory. */
const unitWords = (flags: UpFlags): readonly string[] =>
  Object.values(UNIT_WORDS).flatMap((wordsOf) => wordsOf(flags))

/** `tutti install-service`; `manager` is systemd unless a test brings its own. */
export const installService = async (
  context: Context,
  options: InstallOptions,
  manager: ServiceManager = systemd(options.user),
): Promise<number> => {
  const { io } = context
  const place = placeOf(context, options)
  const flags = upFlagsOf(options.words)
  if (flags.data !== undefined) throw new UsageError('give --data to install-service itself, before --')
  const ticket = ticketOf(flags, options, io.environment['TUTTI_TICKET'])
  // What `up` refuses, it would refuse at every boot.
  const { name, listen = [], api, label = [], packageBudget = null, logLevel } = flags
  const { data } = peerOptionsOf(context, {
    data: options.data,
    name,
    listen,
    api,
    labels: label,
    join: undefined,
    packageBudget,
    logLevel,
  })
  const launcher = launcherPath()
  const unit = unitOf({
    launcher,
    data,
    options: unitWords(flags),
    path: servicePath(io.environment['PATH']),
    user: options.user,
  })
  const fleeting = fleetingReason(launcher)
  if (fleeting !== null) warn(context, fleeting)
  if (options.print) {
    io.stdout.write(unit)
    return EXIT.done
  }
  const installed = await installUnit(place, unit, manager, (question, difference) => {
    for (const line of difference) io.stderr.write(`${harmless(line)}\n`)
    return isConfirmed(context, options.yes, question)
  })
  tell(
    context,
    harmless(`${installed.path} ${installed.kind === 'same' ? 'was there already' : installed.kind}`),
  )
  for (const warning of installed.warnings) warn(context, warning)
  if (place.root !== null) return EXIT.done
  await tellRunning(context, data, place.name)
  if (ticket !== null) await joinCluster(context, data, ticket, name)
  return EXIT.done
}

/** The ticket to join with once the service runs; null: none was given. */
const ticketOf = (
  { join: given, token }: UpFlags,
  { print, root }: InstallOptions,
  lent: string | undefined,
): string | null => {
  if (token !== undefined)
    throw new UsageError('a token goes with an address; a service joins with a ticket: --join tutti1-…')
  const isStarted = !print && root === undefined
  const join = given ?? (isStarted && lent !== undefined && lent !== '' ? lent : undefined)
  if (join === undefined) return null
  if (!join.startsWith('tutti1-')) throw new UsageError('a service joins with a ticket: --join tutti1-…')
  if (isStarted) return join
  throw new UsageError(
    'a ticket is a secret and no part of a unit; leave --join out, and run tutti join once the service runs',
  )
}

const clientFor = (data: string): Client => new Client({ kind: 'socket', path: socketOf(data) }, null)

/** @throws Failure when the peer does not answer in time. */
const tellRunning = async (context: Context, data: string, service: string): Promise<void> => {
  const client = clientFor(data)
  const deadlineMs = performance.now() + (context.timeoutMs ?? START_TIMEOUT_MS)
  for (;;) {
    try {
      const { peers, cluster } = await client.get<PeersReply>('/v1/peers')
      const self = peers.find((peer) => peer.self)?.name ?? ''
      const line = `peer ${self} runs as service ${service}, in cluster ${short(cluster)} of ${counted(peers.length, 'peer')}`
      tell(context, harmless(line))
      return
    } catch (thrown) {
      if (performance.now() > deadlineMs) {
        throw new Failure(
          EXIT.timeout,
          `the service was installed, but its peer does not answer on ${client.name}; look at journalctl -u ${service}`,
          { cause: thrown },
        )
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

const joinCluster = async (
  context: Context,
  data: string,
  ticket: string,
  name: string | undefined,
): Promise<void> => {
  const body = { ticket, ...(name === undefined ? {} : { name }) }
  const reply = await clientFor(data).post<JoinReply>('/v1/join', body, context.timeoutMs ?? JOIN_TIMEOUT_MS)
  tell(
    context,
    harmless(
      `peer ${reply.name} joined cluster ${short(reply.cluster)} of ${counted(reply.members, 'peer')}`,
    ),
  )
}

/** `tutti uninstall-service` */
export const uninstallService = async (
  context: Context,
  options: UninstallOptions,
  manager: ServiceManager = systemd(options.user),
): Promise<number> => {
  const place = placeOf(context, options)
  const path = unitPathOf(place)
  const data = dataOfUnit(contentOf(path) ?? '') ?? defaultDataDirectory(context.io.environment)
  if (!removeUnit(place, manager, options.yes)) {
    throw new Failure(EXIT.failed, `there is no service ${place.name} (${path}); name another with --name`)
  }
  tell(context, harmless(`${path} removed`))
  if (place.root !== null) return EXIT.done
  if (!options.stopInstances) {
    tell(context, 'its instances run on; the next tutti up on the same data adopts them')
    return EXIT.done
  }
  const { endInstances } = await import('../../node/end-instances.ts')
  const ended = await endInstances(data)
  tell(context, `${counted(ended, 'instance')} ended`)
  return EXIT.done
}
