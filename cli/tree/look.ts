// The commands that change nothing of the cluster: ls, ps, status, logs, exec, explain, events; and completion. Actions load their module
// when they run.

import { Argument, Option, type Command } from 'commander'
import { SHELLS, completionScript, type Shell } from '../completion.ts'
import { UsageError } from '../exit.ts'
import { moment, whole, type Frame } from './frame.ts'

interface LogsFlags {
  readonly follow?: boolean
  readonly tail?: number
  readonly since?: number
  readonly until?: number
  readonly timestamps?: boolean
  readonly stream?: 'stdout' | 'stderr'
  readonly grep?: string
}

/** The longest text that a peer looks for. */
const GREP_LENGTH_MAX = 256

const text = (value: string): string => {
  if (value.length > 0 && value.length <= GREP_LENGTH_MAX) return value
  throw new UsageError(`the text to look for must have 1 to ${GREP_LENGTH_MAX} characters`)
}

export const addLookCommands = (root: Command, frame: Frame): void => {
  const ls = root.command('ls').description('list services')
  frame.asks(ls, 'tutti ls')
  frame.does(ls, async (context) => {
    const { listServices } = await import('../commands/services.ts')
    return listServices(context)
  })

  const ps = root.command('ps').description('list instances')
  ps.argument('[cell-service-or-slot]', 'only of this')
  frame.asks(ps, 'tutti ps shop/web')
  frame.does(ps, async (context, _flags, [of]) => {
    const { listInstances } = await import('../commands/services.ts')
    return listInstances(context, of)
  })

  const status = root
    .command('status')
    .description('health in full, with conflicts and unfulfilled contracts')
  status.argument('[cell-or-service]', 'only of this')
  status.option('--at <change>', 'what was wanted at that moment instead: a change that tutti history lists')
  frame.asks(status, 'tutti status shop')
  frame.does<{ readonly at?: string }>(status, async (context, { at }, [of]) => {
    if (at !== undefined) {
      const { showIntent } = await import('../commands/history.ts')
      return showIntent(context, at, of)
    }
    const { showStatus } = await import('../commands/services.ts')
    return showStatus(context, of)
  })

  const logs = root
    .command('logs')
    .description(
      'output of instances on all peers, also of those that are gone; with --json -f one value a line',
    )
    .argument('<cell-service-or-slot>', 'CELL, CELL/SERVICE or CELL/SERVICE/SLOT')
    .option('-f, --follow', 'stay and show new lines, over restarts, moves and releases')
    .addOption(new Option('-n, --tail <n>', 'the last lines (default: 100)').argParser(whole(0, 100_000)))
    .addOption(
      new Option('--since <time>', 'only lines from then on: 10m (ago), or 2031-05-04T10:00:00Z').argParser(
        moment,
      ),
    )
    .addOption(
      new Option('--until <time>', 'only lines up to then, written likewise')
        .argParser(moment)
        .conflicts('follow'),
    )
    .option('-t, --timestamps', 'with the time of each line')
    .addOption(new Option('--stream <stream>', 'only lines of this stream').choices(['stdout', 'stderr']))
    .addOption(new Option('--grep <text>', 'only lines that contain this text, as it is').argParser(text))
  frame.asks(logs, 'tutti logs -f -n 20 shop/web')
  frame.does<LogsFlags>(logs, async (context, flags, [of = '']) => {
    const { showLogs } = await import('../commands/logs.ts')
    const { tail, since, until, stream, grep } = flags
    const [follow, timestamps] = [flags.follow === true, flags.timestamps === true]
    return showLogs(context, of, { follow, tail, since, until, timestamps, stream, grep })
  })

  addExec(root, frame)

  const explain = root
    .command('explain')
    .description('why a slot is here, why not there, and what would change it')
  explain.argument('<service-or-slot>', 'CELL/SERVICE or CELL/SERVICE/SLOT')
  frame.asks(explain, 'tutti explain shop/web/0')
  frame.does(explain, async (context, _flags, [of = '']) => {
    const { explain } = await import('../commands/explain.ts')
    return explain(context, of)
  })

  const events = root.command('events').description('what happened; with --json -f one value a line')
  events.option('-f, --follow', 'stay and show new ones')
  frame.asks(events, 'tutti events -f')
  frame.does<{ readonly follow?: boolean }>(events, async (context, { follow }) => {
    const { listEvents } = await import('../commands/events.ts')
    return listEvents(context, { follow: follow === true })
  })
}

interface ExecFlags {
  readonly tty?: boolean
  readonly stdin?: boolean
  readonly env?: readonly string[]
  readonly workdir?: string
}

const addExec = (root: Command, frame: Frame): void => {
  const exec = root
    .command('exec')
    .description(
      'run a command in an instance, on whichever peer it is: with its environment, directory and limits; ' +
        'in a terminal where stdin and stdout are one; the exit code is the command’s',
    )
    .argument('<service-or-slot>', 'CELL/SERVICE (its first ready instance) or CELL/SERVICE/SLOT')
    .argument('<command...>', 'the command and its arguments')
    .option('-i, --stdin', 'give it the input (the default)')
    .option('--no-stdin', 'give it no input, as in a loop that reads its own')
    .option('-t, --tty', 'in a terminal even where the output is none')
    .option('-T, --no-tty', 'never in a terminal')
    .addOption(
      new Option('-e, --env <name=value>', 'set a variable; NAME alone passes this one on').argParser(
        (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
      ),
    )
    .option('-w, --workdir <dir>', "in this directory (relative to the instance's)")
    // What follows the name belongs to the command, with or without `--` before it.
    .passThroughOptions()
  frame.carries(exec, 'tutti exec shop/web -- sh\n  $ tutti exec -e LEVEL=debug shop/web/2 -- env | sort')
  frame.does<ExecFlags>(exec, async (context, { tty, stdin, env, workdir }, [of = '', ...words]) => {
    const { runExec } = await import('../commands/exec.ts')
    const command = words[0] === '--' ? words.slice(1) : words
    if (command.length === 0)
      throw new UsageError('exec needs a command; write it as in tutti exec shop/web -- sh')
    if (words[0] !== '--' && words[0]?.startsWith('-') === true)
      throw new UsageError(
        `'${words[0]}' follows ${of} and would be its command; write options before ${of}, and the command after --`,
      )
    return runExec(context, of, command, {
      terminal: tty,
      stdin: stdin !== false,
      environment: env ?? [],
      workingDir: workdir,
    })
  })
}

export const addShellCommands = (root: Command, frame: Frame): void => {
  const completion = root
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
  frame.example(completion, 'source <(tutti completion bash)')
  frame.does(completion, async ({ io }, _flags, [shell]) => {
    io.stdout.write(completionScript(shell as Shell))
    return 0
  })

  const hidden = root.command('__complete', { hidden: true }).argument('[words...]')
  frame.does(hidden, async (context, _flags, words) => {
    const { complete } = await import('../commands/complete.ts')
    return complete(context, root, words)
  })
}
