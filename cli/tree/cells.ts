// The commands about cells and services: apply, plan, scale, restart, stop, start, rm. Actions load their module when they
// run.

import { Option, type Command } from 'commander'
import type { Frame } from './frame.ts'
import { addRolloutCommands } from './rollout.ts'

interface EditFlags {
  readonly yes?: boolean
  readonly wait?: boolean
}

const fileOption = (): Option =>
  new Option('-f, --file <file>', 'the cell file, or the directory it is in').makeOptionMandatory()

export const addCellCommands = (root: Command, frame: Frame): void => {
  const apply = root
    .command('apply')
    .description('make a cell what its file says: shows the plan, asks, and waits until every slot is ready')
    .addOption(fileOption())
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'wait until every slot is ready (the default)')
    .option('--no-wait', 'return as soon as the change is made')
    .option('--retry', 'try releases again that failed before and were taken back')
  frame.edits(apply, 'tutti apply -f cell.yaml', { waits: true })
  frame.does<EditFlags & { readonly file: string; readonly retry?: boolean }>(
    apply,
    async (context, { file, yes, wait, retry }) => {
      const { apply } = await import('../commands/apply.ts')
      return apply(context, { file, yes: yes === true, wait: wait !== false, retry: retry === true })
    },
  )

  const plan = root
    .command('plan')
    .description(
      'what apply would change, field by field and slot by slot; exits with 10 when there is something',
    )
    .addOption(fileOption())
  frame.asks(plan, 'tutti plan -f cell.yaml')
  frame.does<{ readonly file: string }>(plan, async (context, { file }) => {
    const { plan } = await import('../commands/apply.ts')
    return plan(context, { file })
  })

  const scale = root
    .command('scale')
    .description('set the replicas of services, all in one change')
    .argument('<service=n...>', 'CELL/SERVICE=N')
    .option('--wait', 'wait until every slot is ready')
  frame.edits(scale, 'tutti scale shop/web=5 shop/cart=2', { waits: true })
  frame.does<EditFlags>(scale, async (context, { wait }, targets) => {
    const { scale } = await import('../commands/edit.ts')
    return scale(context, targets, { wait: wait === true })
  })

  for (const [kind, words] of [
    ['restart', 'replace every instance by a fresh one, as a rollout'],
    ['stop', 'stop services and keep their definition'],
    ['start', 'start stopped services'],
  ] as const) {
    const command = root.command(kind).description(words)
    command.argument('<service...>', 'CELL/SERVICE').option('--wait', 'wait until it is done')
    frame.edits(command, `tutti ${kind} shop/web`, { waits: true })
    frame.does<EditFlags>(command, async (context, { wait }, targets) => {
      const { turn } = await import('../commands/edit.ts')
      return turn(context, kind, targets, { wait: wait === true })
    })
  }

  addRolloutCommands(root, frame)

  const rm = root
    .command('rm')
    .description('remove cells or services for good')
    .argument('<cell-or-service...>', 'CELL or CELL/SERVICE')
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'wait until nothing of it runs')
  frame.edits(rm, 'tutti rm shop/web', { waits: true })
  frame.does<EditFlags>(rm, async (context, { yes, wait }, targets) => {
    const { remove } = await import('../commands/edit.ts')
    return remove(context, targets, { yes: yes === true, wait: wait === true })
  })
}
