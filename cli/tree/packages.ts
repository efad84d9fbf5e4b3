// The commands about packages: package push, ls, show, rm. Actions load their module when they run.

import { Option, type Command } from 'commander'
import { LIMITS } from '../../lib/limits.ts'
import { whole, type Frame } from './frame.ts'

interface PushOptions {
  readonly name: string
  readonly version: string
  readonly copies?: number
}

export const addPackageCommands = (root: Command, frame: Frame): void => {
  const packages = root
    .command('package')
    .description('directories as versions that services run from')
    .helpCommand(false)
  frame.example(packages, 'tutti package ls')

  const push = packages
    .command('push')
    .description('pack a directory and push it: only what is new travels, and a version is never overwritten')
    .argument('<dir>', 'what to pack; .git and what .tuttiignore names are left out')
    .addOption(new Option('--name <name>', 'what it is called').makeOptionMandatory())
    .addOption(new Option('--version <version>', 'its version, as in 1.4.2').makeOptionMandatory())
    .addOption(
      new Option('--copies <n>', 'peers that have it when this returns (default: 2, or 1 alone)').argParser(
        whole(1, LIMITS.membersMax),
      ),
    )
  frame.edits(push, 'tutti package push ./dist --name api --version 1.4.2')
  frame.does<PushOptions>(push, async (context, { name, version, copies = null }, [directory = '']) => {
    const { push } = await import('../commands/package.ts')
    return push(context, directory, { name, version, copies })
  })

  const ls = packages.command('ls').description('the packages that are listed, and how many peers have each')
  frame.asks(ls, 'tutti package ls')
  frame.does(ls, async (context) => {
    const { list } = await import('../commands/package.ts')
    return list(context)
  })

  const show = packages
    .command('show')
    .description('what a package is: its digest, who has it, the files in it')
    .argument('<package>', 'NAME@VERSION')
  frame.asks(show, 'tutti package show api@1.4.2')
  frame.does(show, async (context, _options, [named = '']) => {
    const { show } = await import('../commands/package.ts')
    return show(context, named)
  })

  const rm = packages
    .command('rm')
    .description('remove versions for good; those that a service runs from are refused')
    .argument('<package...>', 'NAME@VERSION')
    .option('-y, --yes', 'do not ask')
  frame.edits(rm, 'tutti package rm api@1.4.1')
  frame.does<{ readonly yes?: boolean }>(rm, async (context, { yes }, named) => {
    const { remove } = await import('../commands/package.ts')
    return remove(context, named, { yes: yes === true })
  })
}
