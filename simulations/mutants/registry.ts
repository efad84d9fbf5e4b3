// Every planted bug, and how one is planted. A new one is one entry.

import type { ActorId, MemberId } from '../../lib/ids.ts'
import { TuttiError } from '../../lib/errors.ts'
import type { Composition } from '../composition.ts'
import { plantPatch } from './loading.ts'
import type { Mutant } from './mutant.ts'

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'skip-fsync',
    bug: 'the disk is never synced',
    breaks: 'S2',
    composition: () => ({
      files: (files) => ({
        ...files,
        open: async (name, mode) => ({ ...(await files.open(name, mode)), sync: async () => undefined }),
      }),
    }),
  },
  {
    name: 'reuse-actor',
    bug: 'a peer writes under the actor of its first start again',
    breaks: 'S3',
    composition: () => {
      const first = new Map<MemberId, ActorId>()
      return {
        newActor: (sound, member) => () => {
          const actor = first.get(member) ?? sound()
          first.set(member, actor)
          return actor
        },
      }
    },
  },
  {
    name: 'no-brake',
    bug: 'a peer that sees most others vanish takes their slots over at once',
    breaks: 'S16',
    patch: {
      file: 'net/brake.ts',
      find: 'if (braked ? changed : collapses) this.#untilMs = nowMs + isolationHoldMs',
      replace: 'this.#untilMs = null; void [braked, changed, collapses, isolationHoldMs]',
    },
  },
]

/** Why there is no such mutant; null: there is, or none was asked for. */
export const mutantFault = (name: string | null): string | null =>
  name === null || MUTANTS.some((mutant) => mutant.name === name)
    ? null
    : `there is no mutant '${name}'; there are ${MUTANTS.map((mutant) => mutant.name).join(', ')}`

/**
 * Plants a bug into this process; null: none. Call it before anything of the code under test is loaded.
 * @returns what its composition wraps. @throws TuttiError `unknown`.
 */
export const plant = (name: string | null): Composition | null => {
  if (name === null) return null
  const mutant = MUTANTS.find((candidate) => candidate.name === name)
  if (mutant === undefined) throw new TuttiError('unknown', mutantFault(name) ?? name)
  if (mutant.patch !== undefined) plantPatch(mutant.patch)
  return mutant.composition?.() ?? null
}
