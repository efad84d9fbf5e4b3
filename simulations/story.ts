// A failure as a story: plays a run, and where it fails, finds the smallest part of it that fails alike and tells what
// happens in that, with the command that plays it again. Prints nothing.

import { parseArguments, replayOf, type SimulationOptions } from './arguments.ts'
import type { Composition } from './composition.ts'
import { play, type Played } from './play.ts'
import type { Part } from './schedule.ts'
import { shrink } from './shrink.ts'
import type { SwarmReply } from './swarm-message.ts'
import { invariantOf } from './violation.ts'

/** Plays one run of the swarm; never rejects for what the code under test does. */
export const playOrShrink = async (
  run: readonly string[],
  composition: Composition | null,
): Promise<SwarmReply> => {
  const options = parseArguments(run, new Uint8Array())
  const wrapped = composition === null ? {} : { composition }
  const began = process.cpuUsage()
  const played = await play({ ...playable(options), ...wrapped, hasty: true })
  const { user, system } = process.cpuUsage(began)
  const { simulatedMs, performed, checks } = played
  const failure = played.violations.length === 0 ? null : await tell(options, played, wrapped)
  return { failure, simulatedMs, cpuMs: (user + system) / 1000, performed, checks }
}

type Options = Omit<SimulationOptions, 'trace' | 'journal'>

const playable = ({ seed, peers, minutes, faults, part }: Options) => ({ seed, peers, minutes, faults, part })

const tell = async (
  options: Options,
  { violations, schedule }: Played,
  wrapped: { readonly composition?: Composition },
): Promise<string> => {
  const broken = invariantOf(violations[0] ?? '')
  const again = async (part: Part, say?: (atMs: number, line: string) => void): Promise<Played> =>
    await play({ ...playable(options), ...wrapped, part, hasty: true, ...(say === undefined ? {} : { say }) })
  const { part, runs, minimal } = await shrink({
    schedule,
    peers: options.peers,
    durationMs: options.minutes * 60_000,
    fails: async (some) => (await again(some)).violations.some((one) => invariantOf(one) === broken),
  })
  const lines: string[] = []
  await again(part, (atMs, line) => lines.push(`  ${(atMs / 1000).toFixed(3).padStart(9)}s  ${line}`))
  return [
    `FAILED ${options.seed}: ${violations[0] ?? ''}`,
    `  shrunk from ${schedule.length} steps to ${part.steps?.length ?? schedule.length} in ${runs} runs${minimal ? '' : ' (not to the end)'}:`,
    ...lines,
    `  whole: ${replayOf(options)}`,
    `  again: ${replayOf({ ...options, part })}`,
  ].join('\n')
}
