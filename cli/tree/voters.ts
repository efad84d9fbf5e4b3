// The commands about those who vote on leases. Actions load their module when they run.

import type { Command } from 'commander'
import type { Frame } from './frame.ts'

export const addVoterCommands = (root: Command, frame: Frame): void => {
  const voters = root
    .command('voters')
    .description('who votes on leases of quorum slots; exits with 1 when no majority is in sight')
  frame.asks(voters, 'tutti voters')
  frame.does(voters, async (context) => {
    const { showVoters } = await import('../commands/voters.ts')
    return showVoters(context)
  })
  const replace = voters
    .command('replace')
    .description(
      'make all operators the voters where most of the present ones are gone for good; first switch their machines off and remove them',
    )
    .option('-y, --yes', 'do not ask')
  frame.asks(replace, 'tutti peers rm b && tutti peers rm c && tutti voters replace')
  frame.does<{ readonly yes?: boolean }>(replace, async (context, { yes }) => {
    const { replaceVoters } = await import('../commands/voters.ts')
    return replaceVoters(context, { yes: yes === true })
  })
}
