// The commands about what was: history, diff, rollback, conflicts, resolve. Actions load their module when they run.

import { Option, type Command } from 'commander'
import { moment, whole, type Frame } from './frame.ts'

/** A screen of changes. */
const CHANGES_SHOWN = 20
/** What a peer gives at most. */
const CHANGES_MAX = 1000

export const addHistoryCommands = (root: Command, frame: Frame): void => {
  const history = root
    .command('history')
    .description('who changed what, when, from which peer and why, newest first')
    .argument('[cell-or-service]', 'only of this; also of what is gone')
    .addOption(
      new Option('-n, --limit <n>', 'the newest').argParser(whole(1, CHANGES_MAX)).default(CHANGES_SHOWN),
    )
    .addOption(
      new Option('--since <time>', 'only changes from then on: 10m (ago), or 2031-05-04T10:00:00Z').argParser(
        moment,
      ),
    )
  frame.asks(history, 'tutti history shop/web -n 5')
  frame.does<{ readonly limit: number; readonly since?: number }>(
    history,
    async (context, { limit, since }, [of]) => {
      const { showHistory } = await import('../commands/history.ts')
      return showHistory(context, of, { limit, since })
    },
  )

  const diff = root
    .command('diff')
    .description(
      'what differs between two moments, field by field; a moment is the start of a change as tutti history lists it, ' +
        'or now, and either with ~2 for two changes before it',
    )
    .argument('<change>', 'from this moment')
    .argument('[change-or-scope]', 'to this moment (default: now), or only of this cell or service')
    .argument('[cell-or-service]', 'only of this')
  frame.asks(diff, 'tutti diff 1a2b3c4d~ 1a2b3c4d\n  $ tutti diff now~3 shop/web')
  frame.does(diff, async (context, _flags, words) => {
    const { showDiff } = await import('../commands/history.ts')
    return showDiff(context, words)
  })

  const conflicts = root
    .command('conflicts')
    .description('values that lost to another written at the same time, by whom, and how to settle it')
  frame.asks(conflicts, 'tutti conflicts')
  frame.does(conflicts, async (context) => {
    const { listConflicts } = await import('../commands/conflicts.ts')
    return listConflicts(context)
  })
}

interface RollbackFlags {
  readonly yes?: boolean
  readonly wait?: boolean
}

export const addRollbackCommands = (root: Command, frame: Frame): void => {
  const rollback = root
    .command('rollback')
    .description(
      'go back, as a new change: without CHANGE to the release before the present one, and nothing else; with it to all that ' +
        'the service was after that change but its replicas. What was removed comes back. Shows the plan and asks',
    )
    .argument('<service>', 'CELL/SERVICE')
    .argument('[change]', 'the start of a change that tutti history lists, or for example now~3')
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'wait until every slot is ready (the default)')
    .option('--no-wait', 'return as soon as the change is made')
  frame.edits(rollback, 'tutti rollback shop/web -m "1.4.2 leaks memory"', { waits: true })
  frame.does<RollbackFlags>(rollback, async (context, { yes, wait }, [service = '', change]) => {
    const { rollback } = await import('../commands/rollback.ts')
    return rollback(context, service, change, { yes: yes === true, wait: wait !== false })
  })

  const resolve = root
    .command('resolve')
    .description('settle a conflict: for the value that holds, or with --take for one that lost')
    .argument('<field...>', 'as tutti conflicts names it')
    .option('--take <change>', 'the value that this change wrote')
  frame.edits(resolve, 'tutti resolve shop/web replicas --take 1a2b3c4d')
  frame.does<{ readonly take?: string }>(resolve, async (context, { take }, field) => {
    const { resolveConflict } = await import('../commands/conflicts.ts')
    return resolveConflict(context, field, take)
  })
}
