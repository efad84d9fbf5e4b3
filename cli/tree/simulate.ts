// The commands about what would be: simulate and rebalance. Actions load their module when they run.

import { Option, type Command } from 'commander'
import type { Frame } from './frame.ts'

interface SimulateFlags {
  readonly kill?: readonly string[]
  readonly cordon?: readonly string[]
  readonly drain?: readonly string[]
  readonly add?: readonly string[]
  readonly file?: string
  readonly losses?: boolean
}

/** `a,b` and again, as one list. */
const names = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  ...text.split(',').filter((name) => name !== ''),
]

export const addSimulateCommands = (root: Command, frame: Frame): void => {
  const simulate = root
    .command('simulate')
    .description(
      'what would move and what would not fit, and whether any one machine may be lost afterwards; changes nothing. ' +
        'Without options: whether any one machine may be lost now',
    )
    .addOption(new Option('--kill <peers>', 'lose these peers: a,b').argParser(names))
    .addOption(
      new Option('--add <machine>', 'add a machine: cpus=4,memory=8G,label.zone=eu-1 (repeatable)').argParser(
        (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
      ),
    )
    .addOption(new Option('--cordon <peers>', 'let these take no new slots').argParser(names))
    .addOption(new Option('--drain <peers>', 'move everything off these').argParser(names))
    .option('-f, --file <file>', 'apply this cell file')
    .option('--no-losses', 'do not look at the loss of each machine')
  frame.asks(
    simulate,
    'tutti simulate --kill a,b\n  $ tutti simulate --add cpus=8,memory=32G,label.zone=eu-3 -f cell.yaml',
  )
  frame.does<SimulateFlags>(
    simulate,
    async (context, { kill = [], cordon = [], drain = [], add = [], file, losses }) => {
      const { simulate } = await import('../commands/simulate.ts')
      return simulate(context, { kill, cordon, drain, add, file, losses: losses !== false })
    },
  )

  const rebalance = root
    .command('rebalance')
    .description(
      'does nothing, since nothing drifts: placement is computed from what is wanted and who is here, and remembers nothing. ' +
        'Shows what each peer holds, which slots are away from home and why, and what would move if the peers that are gone were ' +
        'removed (tutti peers rm), which is the one thing that elects anew',
    )
    .option('--dry-run', 'the same: there is nothing to run')
  frame.asks(rebalance, 'tutti rebalance --dry-run')
  frame.does(rebalance, async (context) => {
    const { rebalance } = await import('../commands/simulate.ts')
    return rebalance(context)
  })
}
