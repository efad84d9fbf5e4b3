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
        const isTakenForLiving = (id: string): boolean =>
          local.some((facts) => facts.id === id && facts.phase === 'running') ||
          plan?.reports.some(({ instance, state }) => instance === id && state === 'ready') === true
        return processes.processes().flatMap(({ record, exit }) => {
          const key = `${name} ${record.nonce}`
          // Most live, and then nothing needs to be looked for.
          if (exit === null || !isTakenForLiving(record.instance)) {
            if (unnoticed.size > 0) unnoticed.delete(key)
            return []
          }
          const looks = (unnoticed.get(key) ?? 0) + 1
          unnoticed.set(key, looks)
          return looks > LOOKS_MAX ? [`${name} does not notice that ${record.instance} has ended`] : []
        })
      }),
  }
}
