// L5: no rollout stands still without somebody who can go on with it: in a calm cluster, a service of which an old release
// still serves has a slot whose new release is not well, which is what the rest waits for, or a steward who says that it is
// paused or has failed.

import { isHookSlot } from '../../node/plan/rollout/hooks.ts'
import type { ServiceId } from '../../lib/ids.ts'
import type { Machine } from '../machine.ts'
import type { Checker } from './checker.ts'

/** Six slots, one after another, of programs that take two seconds to be ready and two to end, after a redial. */
const CALM_MS = 90_000

export const rollouts = (): Checker => ({
  invariant: 'L5',
  look: ({ calmMs, world }) => {
    if (calmMs < CALM_MS) return []
    const snapshots = world.snapshots()
    const [first] = snapshots
    if (first === undefined || snapshots.some(({ view }) => view.digest !== first.view.digest)) return []
    return first.view.services
      .filter(({ stopped }) => !stopped)
      .flatMap(({ id, release }) => {
        const living = world.present().flatMap((machine) => livingOf(machine, id))
        const old = living.filter((one) => one.release !== release)
        const blocked = living.some((one) => one.release === release && !one.steady)
        const waits = snapshots.some(({ plan }) =>
          (plan?.unfulfilled ?? []).some(({ slot }) => slot.startsWith(`${id}/`)),
        )
        const judged = snapshots.some(({ self, statuses }) => {
          const word = statuses.get(self)?.rollouts?.get(id)
          return word?.release === release && (word.phase === 'paused' || word.phase === 'failed')
        })
        if (old.length === 0 || blocked || waits || judged) return []
        return [
          `the rollout of ${id} stands still: ${old.map(({ instance }) => instance).join(', ')} serve on`,
        ]
      })
  },
})

const livingOf = ({ processes }: Machine, service: ServiceId) =>
  processes
    .processes()
    .filter(({ record }) => record.service === service && !isHookSlot(record.slot))
    .map(({ record, script }) => ({
      release: record.release,
      instance: record.instance,
      steady: processes.isWell(record.instance) && script.exit === null && script.unwell === null,
    }))
