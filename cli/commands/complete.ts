// `tutti __complete`, which completion scripts run at every Tab: candidates one a line. Names of services and peers come
// from the peer when it answers at once; a shell must never hang for them.

import type { Command } from 'commander'
import type {
  BuildDutiesReply,
  InstancesReply,
  PeersReply,
  ServicesReply,
} from '../../node/serve/api/contract.ts'
import type { HistoryReply } from '../../node/serve/api/contract-history.ts'
import type { PackagesReply } from '../../node/serve/api/contract-packages.ts'
import { clientOf } from '../client.ts'
import { candidatesAt, needsNames, positionOf, type Names } from '../completion.ts'
import { EXIT } from '../exit.ts'
import { short } from '../render.ts'
import type { Context } from '../io.ts'

// Longer is felt as a stuck Tab key.
const PATIENCE_MS = 400

/** Changes worth completing: older ones are looked up. */
const CHANGES_COMPLETED = 20

const NO_NAMES: Names = {
  peers: [],
  cells: [],
  services: [],
  slots: [],
  changes: [],
  buildDuties: [],
  packages: [],
}

const NO_PACKAGES: Pick<PackagesReply, 'packages'> = { packages: [] }

const namesOf = async (context: Context): Promise<Names> => {
  try {
    const client = clientOf(context)
    const [peers, services, instances, history, { duties }, packages] = await Promise.all([
      client.get<PeersReply>('/v1/peers', {}, PATIENCE_MS),
      client.get<ServicesReply>('/v1/services', {}, PATIENCE_MS),
      client.get<InstancesReply>('/v1/instances', {}, PATIENCE_MS),
      // A peer of an earlier version lists none.
      client
        .get<HistoryReply>('/v1/changes', { limit: CHANGES_COMPLETED }, PATIENCE_MS)
        .catch(() => ({ changes: [] })),
      // A peer of an earlier version has no such route.
      client.get<BuildDutiesReply>('/v1/build-duties', {}, PATIENCE_MS).catch(() => ({ duties: [] })),
      // An earlier version has none.
      client.get<PackagesReply>('/v1/packages', {}, PATIENCE_MS).catch(() => NO_PACKAGES),
    ])
    return {
      peers: peers.peers.map(({ name }) => name),
      cells: [...new Set(services.services.map(({ cell }) => cell))],
      services: services.services.map(({ cell, name }) => `${cell}/${name}`),
      slots: [...new Set(instances.instances.map(({ slot }) => slot))],
      changes: history.changes.map(({ change }) => short(change)),
      buildDuties: duties.map(({ name }) => name),
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
