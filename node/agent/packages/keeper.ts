// The keeper of an agent's packages, put together from the agent's parts.

import type { Neighbourhood } from '../neighbourhood.ts'
import type { AgentOptions } from '../options.ts'
import { PackageKeeper, type PackageKeeperOptions } from './packages.ts'
import type { Replication } from '../replication.ts'

export type { PackageKeeper } from './packages.ts'

/** Parts of the agent that a keeper needs. */
export interface KeeperSurroundings extends Pick<
  PackageKeeperOptions,
  'ask' | 'answer' | 'changed' | 'note'
> {
  readonly replication: Pick<Replication, 'say' | 'statuses' | 'view'>
  readonly neighbourhood: Pick<Neighbourhood, 'membership'>
}

/** The keeper of an agent's packages; null without a store. */
export const packageKeeperOf = (
  { packages: store, signer, clock, random, log }: AgentOptions,
  { replication, neighbourhood, ...rest }: KeeperSurroundings,
): PackageKeeper | null =>
  store === undefined
    ? null
    : new PackageKeeper({
        ...rest,
        self: signer.member,
        store,
        clock,
        random: random.fork('packages'),
        log,
        say: (key, value, urgent) => replication.say(key, value, urgent),
        statuses: () => replication.statuses(),
        membership: () => neighbourhood.membership(),
        view: () => replication.view(),
      })
