// One cluster's worth of a peer: transport, store, hands, links and the agent over them. A peer has one at a time; joining
// another cluster stops this one and starts the next. Stopping it leaves the instances running.

import { randomBytes } from 'node:crypto'
import { homedir } from 'node:os'
import { recordBuild } from '../crdt/build-duty-edits.ts'
import { STATUS_KEYS } from '../crdt/status-decode.ts'
import { toHex } from '../lib/bytes.ts'
import { messageOf } from '../lib/errors.ts'
import type { ActorId, ServiceId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { seededRandom } from '../lib/random.ts'
import { createLibp2pTransport, hostOfAddress } from '../net/libp2p/transport.ts'
import { BuildSteward } from './act/builds/steward.ts'
import type { DataDirectory } from './act/disk/data-directory.ts'
import { raiseIncarnation, type ClusterOrigin, type Identity } from './act/disk/identity.ts'
import { confinable } from './act/drivers/process/confinable.ts'
import { directoryFiles } from './act/disk/files.ts'
import { currentBoot } from './act/drivers/process/identity.ts'
import { DiskStore } from './act/disk/log-store.ts'
import { createHands } from './act/hands.ts'
import { DiskPackages } from './act/packages/store.ts'
import { verifyHttp } from './act/verify-http.ts'
import { coreWaitSensor } from './act/core-wait.ts'
import { capacityOf } from './act/sampler.ts'
import { Agent } from './agent.ts'
import { systemClock } from './clock.ts'
import { bootstrapOf } from './enrolment.ts'
import { rememberPorts, withFormerPorts } from './listen-ports.ts'
import { endpointsOf } from './plan/endpoints.ts'
import { PLACEMENT_VERSION } from './plan/placement-version.ts'
import type { AgentSnapshot, Exec, Output } from './ports.ts'
import { linkRoutes, ServiceLinks } from './serve/links.ts'

export interface RuntimeOptions {
  readonly data: DataDirectory
  readonly identity: Identity
  readonly origin: ClusterOrigin
  /** Addresses of members from the command line, beside those that are known. */
  readonly dial: readonly string[]
  readonly listen: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  /** What packages may take on the disk; null: a default by the size of the disk. */
  readonly packageBudgetBytes: number | null
  readonly version: string
  /** The words that start the command line, for builds; null: this peer builds nothing. */
  readonly program: readonly string[] | null
  readonly log: Log
}

export interface Runtime {
  readonly agent: Agent
  readonly output: Output
  readonly exec: Exec
  readonly links: ServiceLinks
  /** What this peer is called in its cluster. */
  name(): string
  stop(): Promise<void>
}

const ACTOR_BYTES = 16
const SEED_BYTES = 32

/** The peer's environment, with the HOME that a service manager leaves out for a service of root. */
const ownEnvironment = (): Readonly<Record<string, string | undefined>> => {
  try {
    return { ...process.env, HOME: homedir() }
  } catch {
    // A user that the machine does not know has none.
    return process.env
  }
}

/** Builds and starts everything. @throws TuttiError `storage`, `busy` (a port is taken), `invalid`. */
export const startRuntime = async (options: RuntimeOptions): Promise<Runtime> => {
  const { data, identity, origin, dial, listen, labels, packageBudgetBytes, version, log } = options
  const random = seededRandom(randomBytes(SEED_BYTES).toString('hex'))
  const packages = new DiskPackages({
    folder: data.packages,
    budgetBytes: packageBudgetBytes,
    boot: currentBoot(),
    clock: systemClock,
    log,
  })
  const links = new ServiceLinks({ log, store: data })
  const built = createHands({
    folder: data.directory,
    peer: { id: identity.member, name: origin.name, environment: ownEnvironment() },
    clock: systemClock,
    log,
    random: random.fork('hands'),
    packageDirectory: (digest) => packages.directoryOf(digest),
    linkEnvironment: (uses) => links.environmentFor(uses.map((service) => service as ServiceId)),
  })
  const capacity = capacityOf()
  const builds: BuildSteward = new BuildSteward({
    folder: data.builds,
    socket: data.socket,
    program: options.program,
    environment: process.env,
    clock: systemClock,
    log,
    snapshot: () => agent.snapshot(),
    say: (duty, progress) => agent.say(STATUS_KEYS.build(duty), progress),
    note: (subject, message) => agent.note({ kind: 'build', subject, message }),
    record: async (duty, outcome, after) => {
      const message = `build duty ${duty}: ${outcome.commit.slice(0, 12)} ${outcome.kind}`
      await agent.edit(recordBuild(agent.view(), duty, outcome, after), { message, at: systemClock.wall() })
    },
  })
  const agent: Agent = await Agent.create({
    cluster: origin.cluster,
    signer: identity.signer,
    incarnation: await raiseIncarnation(data, systemClock.wall()),
    clock: systemClock,
    random,
    transport: await createLibp2pTransport({
      seed: identity.seed,
      cluster: origin.cluster,
      listen: await withFormerPorts(listen, data),
      log,
      clock: systemClock,
    }),
    coreWaitMs: coreWaitSensor(),
    store: new DiskStore(data.log),
    promises: directoryFiles(data.log),
    hands: built.hands,
    packages,
    log,
    facts: {
      version,
      placementVersionMax: PLACEMENT_VERSION,
      labels: { ...labels },
      cpusMilli: capacity.cpusMilli,
      memoryBytes: capacity.memoryBytes,
      startedAt: systemClock.wall(),
    },
    confinement: confinable,
    builder: () => builds.facts(),
    hostOf: (addresses) => hostOfAddress(addresses[0] ?? '') ?? '127.0.0.1',
    bootstrap: bootstrapOf(origin, dial),
    founding: origin.kind === 'founded' ? { nonce: origin.nonce, name: origin.name } : null,
    newActor: () => toHex(randomBytes(ACTOR_BYTES)) as ActorId,
    newSeed: () => new Uint8Array(randomBytes(SEED_BYTES)),
    verifyHttp,
    afterPass: (snapshot) => {
      follow(links, snapshot, log)
      builds.follow(snapshot)
    },
  })
  await links.start()
  builds.start()
  await built.exec.start()
  await agent.start()
  // A start is no worse for a disk that takes no writes: the next one takes other ports.
  await rememberPorts(listen, agent.addresses(), data).catch((thrown: unknown) =>
    log.log('warn', 'the ports to listen on could not be remembered', { reason: messageOf(thrown) }),
  )
  return {
    agent,
    output: built.output,
    exec: built.exec,
    links,
    name: () => agent.snapshot().view.members.find(({ id }) => id === identity.member)?.name ?? origin.name,
    stop: async () => {
      await builds.stop()
      await agent.stop()
      await built.close()
      await links.close()
    },
  }
}

/** Gives the links the ready endpoints, and closes those that no local instance uses any more. */
const follow = (links: ServiceLinks, snapshot: AgentSnapshot, log: Log): void => {
  links.setRoutes(linkRoutes(endpointsOf(snapshot)))
  const used = new Set(
    snapshot.local.flatMap(({ definition }) => definition.uses.map((service) => service as ServiceId)),
  )
  links
    .retain(used)
    .catch((thrown: unknown) => log.log('warn', 'a link could not be closed', { reason: String(thrown) }))
}
