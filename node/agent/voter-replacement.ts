// How lost voters are replaced, on an operator's word: a majority of them is gone for good, and so no change of the voters
// can be agreed upon by them (node/plan/lease/voter-change.ts). The operator vouches for the one thing that no peer can
// know: that what was removed does not run any more. Everything else is checked here. Deliberately absent: any way in which
// a peer does this by itself.
//
//   every operator is in sight ─▶ all of them know the same voters ─▶ these are lost ─▶ the new ones are told to all
//
// S9 rests on this: whoever is still a member knows the newest voters that any member knows, so that no older majority is
// left among them; what is left of the newest is no majority; and whoever takes over the new ones promises nothing for a
// lease, in which all that the lost ones have promised runs out.

import type { LeaseAnswer, LeaseQuestion, VoterSet } from '../../crdt/schema/lease.ts'
import { TuttiError } from '../../lib/errors.ts'
import { areLost, isQuorum, replacedEpoch } from '../plan/lease/terms.ts'

/** Rounds in which all come to know the same voters: one to hear of them, one to tell, one to hear that it is so. */
const ROUNDS = 3

export interface ReplacementScene {
  readonly self: string
  readonly wall: () => number
  /** The admitted operators, sorted. */
  readonly operators: readonly string[]
  readonly inSight: ReadonlySet<string>
  readonly nameOf: (member: string) => string
  /** The voters that this peer knows. */
  readonly voters: () => VoterSet | null
  /** Asks another member; null, or a rejection: no answer. */
  readonly ask: (
    to: string,
    question: Pick<LeaseQuestion, 'voters' | 'change'>,
  ) => Promise<LeaseAnswer | null>
  readonly adopt: (voters: VoterSet) => Promise<void>
  /** Takes over new voters in the place of lost ones, durably; false: it did not. */
  readonly replace: (voters: VoterSet) => Promise<boolean>
}

/** @throws TuttiError `refused` where nothing is lost or not everybody is here, `unreachable` where one does not answer. */
export const replaceVoters = async (scene: ReplacementScene): Promise<VoterSet> => {
  const { self, operators, nameOf } = scene
  if (!operators.includes(self))
    throw new TuttiError('refused', 'this peer is a runner, which has no vote; ask the peer of an operator')
  const absent = operators.filter((member) => !scene.inSight.has(member))
  if (absent.length > 0)
    throw new TuttiError(
      'refused',
      `${listed(absent.map(nameOf).sort())} not in sight; start every peer that can still run, and remove the others with 'tutti peers rm NAME' once their machines are switched off`,
    )
  const known = await agreedVoters(scene)
  if (known !== null && !areLost(known, operators))
    throw new TuttiError(
      'refused',
      'the voters are not lost: those that are members still are a majority and change by themselves; nothing was replaced',
    )
  const voters = { epoch: replacedEpoch(known, scene.wall()), former: null, present: [...operators] }
  if (!(await scene.replace(voters)))
    throw new TuttiError('storage', 'the disk of this peer did not take the voters; nothing was replaced')
  const change = { kind: 'replace', epoch: voters.epoch, ballot: { round: 0, by: self }, voters } as const
  const others = operators.filter((member) => member !== self)
  const answers = await Promise.all(others.map((to) => answerOf(scene, to, { voters: known, change })))
  const took = new Set([self, ...others.filter((_, at) => answers[at]?.change?.agreed === true)])
  if (!isQuorum(voters, took))
    throw new TuttiError(
      'unreachable',
      `only ${took.size} of ${operators.length} peers took the new voters over; do it again once all of them answer`,
    )
  return voters
}

/** What every operator knows by now. @throws TuttiError `unreachable`, `conflict`. */
const agreedVoters = async (scene: ReplacementScene): Promise<VoterSet | null> => {
  const others = scene.operators.filter((member) => member !== scene.self)
  for (let round = 0; round < ROUNDS; round += 1) {
    const voters = scene.voters()
    const answers = await Promise.all(others.map((to) => answerOf(scene, to, { voters, change: null })))
    const silent = others.filter((_, at) => answers[at] === null)
    if (silent.length > 0)
      throw new TuttiError(
        'unreachable',
        `no answer from ${silent.map(scene.nameOf).sort().join(', ')}; nothing was replaced, so do it again once all answer`,
      )
    const heard = answers.flatMap((answer) => answer?.voters ?? [])
    for (const one of heard) await scene.adopt(one)
    const epoch = scene.voters()?.epoch
    if (answers.every((answer) => answer?.voters?.epoch === epoch)) return scene.voters()
  }
  throw new TuttiError(
    'conflict',
    'the voters are changing at this moment; nothing was replaced, so look again',
  )
}

const answerOf = async (
  { ask }: ReplacementScene,
  to: string,
  question: Pick<LeaseQuestion, 'voters' | 'change'>,
): Promise<LeaseAnswer | null> => {
  try {
    return await ask(to, question)
  } catch {
    return null
  }
}

const listed = (names: readonly string[]): string =>
  `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'}`
