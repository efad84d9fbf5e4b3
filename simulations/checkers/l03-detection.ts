// L3: in a calm cluster a running member is alive for everybody, and one whose machine is dark is dead for everybody.

import type { Checker } from './checker.ts'

/** Detection takes seconds; what precedes it, a redial after a cut, a doubt and a refutation, may take half a minute. */
const CALM_MS = 45_000

export const detection = (): Checker => ({
  invariant: 'L3',
  look: (scene) => {
    if (scene.calmMs < CALM_MS) return []
    const running = scene.world.present().filter(({ agent }) => agent !== null)
    const names = new Map<string, string>(running.map(({ signer, name }) => [signer.member, name]))
    return running.flatMap(({ agent, name }) =>
      (agent?.snapshot().membership.members ?? [])
        .filter(({ id, state }) => names.has(id) && state !== 'alive')
        .map(
          ({ id, state }) => `${name} sees ${names.get(id)} ${state} after ${CALM_MS / 1000} calm seconds`,
        ),
    )
  },
})
