// S15: supervision goes on whatever the disk, the network and other members do: a running peer knows within a moment that
// one of its processes has ended, and its next plan, which follows at once, no longer takes it for ready.

import type { Checker } from './checker.ts'

/** Hands report exits at once; a look more is the grain of looking. */
const LOOKS_MAX = 2

export const isolation = (): Checker => {
  const unnoticed = new Map<string, number>()
  return {
    invariant: 'S15',
    look: (scene) =>
      scene.world.machines.flatMap((machine) => {
        const { agent, processes, name } = machine
        if (agent === null || !machine.acting || scene.isBroken(machine)) return []
        const { local, plan } = scene.world.sightOf(agent)
        const running = new Set<string>(local.filter(({ phase }) => phase === 'running').map(({ id }) => id))
        const ready = new Set<string>(
          (plan?.reports ?? []).filter(({ state }) => state === 'ready').map(({ instance }) => instance),
        )
        return processes.processes().flatMap(({ record, exit }) => {
          const key = `${name} ${record.nonce}`
          if (exit === null || (!running.has(record.instance) && !ready.has(record.instance))) {
            unnoticed.delete(key)
            return []
          }
          const looks = (unnoticed.get(key) ?? 0) + 1
          unnoticed.set(key, looks)
          return looks > LOOKS_MAX ? [`${name} does not notice that ${record.instance} has ended`] : []
        })
      }),
  }
}
