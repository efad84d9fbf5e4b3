// `tutti rollout` and its words. Actions load their module when they run.

import type { Command } from 'commander'
import type { Frame } from './frame.ts'

export const addRolloutCommands = (root: Command, frame: Frame): void => {
  const rollout = root.command('rollout').description('how services change their release, and a word on it')
  frame.asks(rollout, 'tutti rollout')
  frame.does(rollout, async (context) => {
    const { rolloutStatus } = await import('../commands/rollout.ts')
    return rolloutStatus(context, undefined, { wait: false })
  })

  const status = rollout
    .command('status')
    .description('how far rollouts are; exits with 1 where one has failed')
    .argument('[service]', 'CELL/SERVICE')
    .option('-w, --wait', 'follow it until it is done, paused or taken back')
  frame.asks(status, 'tutti rollout status shop/web -w', { waits: true })
  frame.does<{ readonly wait?: boolean }>(status, async (context, { wait }, [of]) => {
    const { rolloutStatus } = await import('../commands/rollout.ts')
    return rolloutStatus(context, of, { wait: wait === true })
  })

  for (const [order, words] of [
    ['pause', 'let no further slot change its release'],
    ['resume', 'go on, whatever has been held against the release so far'],
    ['promote', 'the first slots are good enough: go on with the others'],
    ['abort', 'take the release back, everywhere, to the last one that was good'],
    ['retry', 'try the release again that was taken back last'],
  ] as const) {
    const command = rollout.command(order).description(words).argument('<service>', 'CELL/SERVICE')
    command.option('-w, --wait', 'wait until the rollout is done')
    frame.asks(command, `tutti rollout ${order} shop/web`, { waits: true })
    frame.does<{ readonly wait?: boolean }>(command, async (context, { wait }, [service = '']) => {
      const { sayRollout } = await import('../commands/rollout.ts')
      return sayRollout(context, order, service, { wait: wait === true })
    })
  }
}
