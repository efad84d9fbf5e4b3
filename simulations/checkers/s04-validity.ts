// S4: what no member signed is in no document and is passed on by no correct peer. Liars put what they forge on a list.

import { sha256Hex } from '../../lib/hash.ts'
import type { ChangeHash } from '../../lib/ids.ts'
import type { Checker } from './checker.ts'

export const validity = (): Checker => ({
  invariant: 'S4',
  forwarded: (scene, by, bytes) => {
    if (scene.forged.size === 0 || !scene.forged.has(sha256Hex(bytes))) return []
    return [`${nameOf(scene, by)} passed on what is forged`]
  },
  look: (scene) =>
    [...scene.forged].flatMap((forged) =>
      scene.world.machines
        .filter(({ agent }) => agent?.holds(forged as ChangeHash) === true)
        .map(({ name }) => `${name} holds the forged change ${forged.slice(0, 8)}`),
    ),
})

const nameOf = (scene: Parameters<NonNullable<Checker['look']>>[0], member: string): string =>
  scene.world.machines.find(({ signer }) => signer.member === member)?.name ?? member
