// The options of `tutti up`, which `tutti install-service` takes behind `--` and puts into its unit. One definition, so
// that a service refuses at its installation what `up` would refuse at every boot.

import { Command, Option } from 'commander'
import type { LogLevel } from '../../lib/log.ts'
import { size } from './frame.ts'

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
export const LOG_LEVEL_DEFAULT: LogLevel = 'info'

export interface UpFlags {
  readonly data?: string
  readonly name?: string
  readonly listen?: readonly string[]
  readonly api?: string
  readonly label?: readonly string[]
  readonly join?: string
  readonly token?: string
  readonly packageBudget?: number
  readonly logLevel: LogLevel
}

export const addUpOptions = (up: Command): Command =>
  up
    .option(
      '--data <dir>',
      'where it keeps its data (default: $TUTTI_DATA, else /var/lib/tutti or ~/.local/state/tutti)',
    )
    .option('--name <name>', "what it is called (default: the host's name)")
    .option('--listen <multiaddr...>', 'where other peers reach it, as in /ip4/0.0.0.0/tcp/7701')
    .option('--api <host:port>', 'serve the API on TCP too, with a bearer token')
    .option('--label <key=value...>', 'labels for placement, as in zone=eu-1')
    .option('--join <ticket|multiaddr>', 'join that cluster (default: $TUTTI_TICKET)')
    .option('--token <token>', 'with an address in --join: the token of tutti invite (default: $TUTTI_TOKEN)')
    .addOption(
      new Option(
        '--package-budget <size>',
        'what packages may take on its disk, as in 20G (default: a fifth of the disk, at most 10G)',
      ).argParser(size),
    )
    .addOption(
      new Option('--log-level <level>', 'least level of its log')
        .choices(LOG_LEVELS)
        .default(LOG_LEVEL_DEFAULT),
    )

/** What words mean to `tutti up`. @throws CommanderError as `up` itself would. */
export const parseUpWords = (words: readonly string[]): UpFlags => {
  const up = addUpOptions(new Command('up'))
    .exitOverride()
    .helpOption(false)
    .allowExcessArguments(false)
    .configureOutput({ writeErr: () => undefined, outputError: () => undefined })
  return up.parse([...words], { from: 'user' }).opts<UpFlags>()
}
