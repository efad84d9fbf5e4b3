// The commands that go from a commit to the fleet: release, serve-builds. Actions load their module when they run.

import { Option, type Command } from 'commander'
import { UsageError } from '../exit.ts'
import { duration, type Frame } from './frame.ts'

interface ReleaseFlags {
  readonly file: string
  readonly rev: string
  readonly repo?: string
  readonly allowDirty?: boolean
  readonly retry?: boolean
  readonly yes?: boolean
  readonly wait?: boolean
  readonly work?: string
  readonly duty?: string
  readonly after?: string
}

interface FollowFlags {
  readonly branch: string
  readonly file: string
  readonly every: number
  readonly name?: string
}

const FILE_DEFAULT = 'cell.yaml'

/** For the peers' own use: they release what a build duty found. */
const addDutyOptions = (command: Command): Command =>
  command
    .addOption(new Option('--work <dir>', 'where to fetch to and build').hideHelp())
    .addOption(new Option('--duty <name>', 'the build duty it is done for').hideHelp())
    .addOption(new Option('--after <commit>', 'the commit before').hideHelp())

export const addReleaseCommands = (root: Command, frame: Frame): void => {
  const release = root
    .command('release')
    .description(
      'build a commit in a clean worktree, test and push the packages, and apply the cell file of that commit',
    )
    .option('-f, --file <file>', 'the cell file, or the directory it is in', FILE_DEFAULT)
    .option('--rev <revision>', 'the commit, branch or tag', 'HEAD')
    .option('--repo <repository>', 'a directory or a URL instead of the repository around the file')
    .option('--allow-dirty', 'release what is committed, although the tree has more')
    .option('--retry', 'try releases again that failed before and were taken back')
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'wait until every slot is ready (the default)')
    .option('--no-wait', 'return as soon as the change is made')
  addDutyOptions(release)
  frame.edits(release, 'tutti release -f cell.yaml --rev v1.4.2', { waits: true })
  frame.does<ReleaseFlags>(release, async (context, flags) => {
    const { release } = await import('../commands/release.ts')
    const { file, rev, repo = null, work = null, duty, after = '' } = flags
    return release(context, {
      file,
      rev,
      repo,
      work,
      allowDirty: flags.allowDirty === true,
      retry: flags.retry === true,
      yes: flags.yes === true,
      wait: flags.wait !== false,
      duty: duty === undefined ? null : { name: duty, after: after === '' ? null : after },
    })
  })
  addServeBuilds(root, frame)
}

const addServeBuilds = (root: Command, frame: Frame): void => {
  const serve = root
    .command('serve-builds')
    .description('follow a branch: the cluster builds and releases every new commit of it')
    .argument('[repository]', 'URL, or a path on the machines that build')
    .option('--branch <branch>', 'the branch', 'main')
    .option('-f, --file <file>', 'the cell file within the repository', FILE_DEFAULT)
    .addOption(
      new Option('--every <duration>', 'how often to look').argParser(duration).default(10_000, '10s'),
    )
    .option('--name <name>', 'what to call it (default: after the repository)')
  frame.edits(serve, 'tutti serve-builds https://git.example.org/shop.git --branch main')
  frame.does<FollowFlags>(serve, async (context, { branch, file, every, name = null }, [repository]) => {
    if (repository === undefined) {
      throw new UsageError('that names no repository; see tutti serve-builds --help, or list with ls')
    }
    const { followBranch } = await import('../commands/serve-builds.ts')
    return followBranch(context, repository, { branch, file, everyMs: every, name })
  })

  const ls = serve
    .command('ls')
    .description('the branches that are followed, and how their last commit fared')
  ls.argument('[build-duty]', 'one of them')
  frame.asks(ls, 'tutti serve-builds ls')
  frame.does(ls, async (context, _flags, [name]) => {
    const { listDuties } = await import('../commands/serve-builds.ts')
    return listDuties(context, name)
  })

  const rm = serve.command('rm').description('follow a branch no more; what runs goes on')
  rm.argument('<build-duty>', 'its name')
  frame.edits(rm, 'tutti serve-builds rm shop')
  frame.does(rm, async (context, _flags, [name = '']) => {
    const { forgetBranch } = await import('../commands/serve-builds.ts')
    return forgetBranch(context, name)
  })

  const retry = serve.command('retry').description('build a commit again that failed')
  retry.argument('<build-duty>', 'its name')
  frame.edits(retry, 'tutti serve-builds retry shop')
  frame.does(retry, async (context, _flags, [name = '']) => {
    const { retryBranch } = await import('../commands/serve-builds.ts')
    return retryBranch(context, name)
  })
}
