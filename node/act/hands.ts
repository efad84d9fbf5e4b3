// Builds the production hands of a peer: executor, process driver, prober, ports and output put together. The one place
// that knows all of them; the parts know each other by interfaces only.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { PackageDigest } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { Clock } from '../../lib/time.ts'
import { checkDirectory, resolveCommand } from './drivers/process/command.ts'
import { ProcessDriver } from './drivers/process/driver.ts'
import { Execs } from './exec/exec.ts'
import { SafeLauncher } from './drivers/process/spawner.ts'
import { Executor } from './executor.ts'
import { ShellForker } from './forker.ts'
import { OutputStore } from './output/output.ts'
import { createPorts } from './ports.ts'
import { createProber } from './prober.ts'
import { realProbe } from './probes.ts'

/** What a peer's hands are built from. */
export interface HandsOptions {
  /** The peer's data directory; `instances/` and `output/` in it are the hands'. */
  readonly folder: string
  /** The peer's name (for messages and TUTTI_PEER) and id, and its environment (`process.env`). */
  readonly peer: {
    readonly id: string
    readonly name: string
    readonly environment: Readonly<Record<string, string | undefined>>
  }
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  /** Where a package lies, unpacked. @default nothing runs from a package */
  readonly packageDirectory?: (digest: PackageDigest) => string
  /** Opens links to the services used; returns `TUTTI_USES_<SERVICE>` for each. */
  readonly linkEnvironment: (uses: readonly string[]) => Promise<Readonly<Record<string, string>>>
}

/** The hands and the output that they leave. */
export interface BuiltHands {
  readonly hands: Executor
  readonly output: OutputStore
  readonly exec: Execs
  /** Lets go of everything; instances run on. */
  close(): Promise<void>
}

// 128 bits: with it a stranger's environment cannot look like ours by chance.
const NONCE_BYTES = 16

/** Builds, and starts nothing: call `hands.start`. */
export const createHands = (options: HandsOptions): BuiltHands => {
  const { clock, log, peer } = options
  const folder = resolve(options.folder)
  mkdirSync(folder, { recursive: true })
  const output = new OutputStore({ folder: join(folder, 'output'), peer: peer.name, clock, log })
  const driver = new ProcessDriver({
    folder: join(folder, 'instances'),
    peer: peer.name,
    clock,
    log,
    output,
    ...(options.packageDirectory === undefined ? {} : { packageDirectory: options.packageDirectory }),
    launcher: new SafeLauncher(log, join(folder, 'instances', 'spares')),
  })
  const forker = new ShellForker(log)
  const hands = new Executor({
    driver,
    prober: createProber({ clock, random: options.random.fork('probes'), probe: realProbe(clock, forker) }),
    ports: createPorts(peer.id),
    clock,
    log,
    peer,
    mintNonce: () => randomBytes(NONCE_BYTES).toString('hex'),
    directoryOf: (instance, definition) => driver.directories.workingOf(instance, definition),
    packageVariables: (instance, definition) =>
      definition.package === undefined
        ? {}
        : {
            TUTTI_PACKAGE: driver.directories.packageOf(definition.package),
            TUTTI_SCRATCH: driver.directories.ownOf(instance),
          },
    linkEnvironment: options.linkEnvironment,
    lastLines: async (instance, count) => await output.lastLines(instance, count),
    lookAgain: (instance, definition, path) => {
      const directory = driver.directories.workingOf(instance, definition)
      if (definition.workingDir !== null || definition.package !== undefined)
        checkDirectory(directory, peer.name)
      resolveCommand(definition.command[0] ?? '', { directory, path, peer: peer.name })
    },
  })
  return {
    hands,
    output,
    exec: new Execs({ driver, peer, clock, mintMark: () => randomBytes(NONCE_BYTES).toString('hex') }),
    close: async () => {
      await hands.close()
      forker.close()
      await output.close()
    },
  }
}
