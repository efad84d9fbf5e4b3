// `tutti __complete`, which completion scripts run at every Tab: candidates one a line. Names of services and peers come
// from the peer when it answers at once; a shell must never hang for them.

import type { Command } from 'commander'
import type { InstancesReply, PeersReply, ServicesReply } from '../../node/serve/api/contract.ts'
import type { PackagesReply } from '../../node/serve/api/contract-packages.ts'
import { clientOf } from '../client.ts'
import { candidatesAt, needsNames, positionOf, type Names } from '../completion.ts'
import { EXIT } from '../exit.ts'
import type { Context } from '../io.ts'

// Longer is felt as a stuck Tab key.
const PATIENCE_MS = 400

const NO_NAMES: Names = { peers: [], cells: [], services: [], slots: [], packages: [] }

const NO_PACKAGES: Pick<PackagesReply, 'packages'> = { packages: [] }

const namesOf = async (context: Context): Promise<Names> => {
  try {
    const client = clientOf(context)
    const [peers, services, instances, packages] = await Promise.all([
      client.get<PeersReply>('/v1/peers', {}, PATIENCE_MS),
      client.get<ServicesReply>('/v1/services', {}, PATIENCE_MS),
      client.get<InstancesReply>('/v1/instances', {}, PATIENCE_MS),
      // An earlier version has none.
      client.get<PackagesReply>('/v1/packages', {}, PATIENCE_MS).catch(() => NO_PACKAGES),
    ])
    return {
      peers: peers.peers.map(({ name }) => name),
      cells: [...new Set(services.services.map(({ cell }) => cell))],
      services: services.services.map(({ cell, name }) => `${cell}/${name}`),
      slots: [...new Set(instances.instances.map(({ slot }) => slot))],
      packages: packages.packages.map(({ ref }) => ref),
    }
  } catch {
    return NO_NAMES
  }
}

/** `tutti __complete -- WORDS…` */
export const complete = async (
  context: Context,
  root: Command,
  words: readonly string[],
): Promise<number> => {
  const position = positionOf(root, words)
  if (position === null) return EXIT.done
  const names = needsNames(position) ? await namesOf(context) : NO_NAMES
  for (const candidate of candidatesAt(position, names)) context.io.stdout.write(`${candidate}\n`)
  return EXIT.done
}
