// Runs one command line: builds the tree, parses, runs the action, and turns whatever is thrown into one sentence on
// stderr and an exit code. Takes an Io, so that tests run whole commands in-process.

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { AssertionError } from '../lib/assert.ts'
import { TuttiError, messageOf } from '../lib/errors.ts'
import { suggestion } from './cell-file/problem.ts'
import { EXIT, EXIT_OF_ERROR, Failure, UsageError } from './exit.ts'
import type { Io } from './io.ts'
import { harmless, paintFor } from './render.ts'
import { typable } from './program-name.ts'
import { Frame } from './tree/frame.ts'
import { groupsFor } from './tree/groups.ts'

const versionOf = (): string => {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}

// Promised by the contract and not built yet: an honest sentence instead of a wrong suggestion.
const LATER = ['top']

const rootCommand = (io: Io, frame: Frame, argv: readonly string[]): Command => {
  const root = new Command('tutti')
    .description('runs services on the machines you have, with nobody in charge')
    .version(versionOf(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    // `tutti --peer X ps` gives root the option; `tutti ps --peer X` gives it to ps.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // Errors are written once, as sentences, by `sentenceOf`.
      writeErr: () => undefined,
      outputError: () => undefined,
      getOutHelpWidth: () => io.stdout.columns,
      getOutHasColors: () => false,
    })
  frame.sharesPeer(root)
  frame.example(root, 'tutti up &\n  $ tutti apply -f cell.yaml')
  for (const { heading, add } of groupsFor(argv)) {
    if (heading !== null) root.commandsGroup(heading)
    add(root, frame)
  }
  return root
}

/** Runs `tutti ARGV…`; resolves with the exit code and never throws. */
export const runProgram = async (argv: readonly string[], io: Io): Promise<number> => {
  const frame = new Frame(io)
  const root = rootCommand(io, frame, argv)
  if (argv.length === 0) {
    io.stdout.write(root.helpInformation())
    return EXIT.done
  }
  try {
    await root.parseAsync([...argv], { from: 'user' })
    return frame.code
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT.done
    const paint = paintFor(io.stderr, io.environment)
    const lines = typable(sentenceOf(thrown, root, argv), io)
      .split('\n')
      .map(harmless)
    io.stderr.write(`${paint('red', 'tutti:')} ${lines.join('\n')}\n`)
    return exitOf(thrown)
  }
}

const exitOf = (thrown: unknown): number => {
  if (thrown instanceof Failure) return thrown.exit
  if (thrown instanceof TuttiError) return EXIT_OF_ERROR[thrown.code]
  return thrown instanceof UsageError || thrown instanceof CommanderError ? EXIT.usage : EXIT.failed
}

/** Any thrown value as one lower-case sentence with the next step; a stack only where `TUTTI_DEBUG` asks for it. */
const sentenceOf = (thrown: unknown, root: Command, argv: readonly string[]): string => {
  if (thrown instanceof CommanderError) return usageSentence(thrown, root, argv)
  if (thrown instanceof UsageError || thrown instanceof TuttiError || thrown instanceof Failure) {
    return thrown.message
  }
  const next = 'this is a bug in tutti; please report it'
  return thrown instanceof AssertionError ? `${thrown.message}; ${next}` : `${messageOf(thrown)}; ${next}`
}

/** What Compose, Nomad and kubectl call what is called otherwise here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  delete: 'rm',
  deploy: 'apply',
  down: 'rm',
  nodes: 'peers',
  remove: 'rm',
  services: 'ls',
}

/** What a word that names no command may mean: a command of another name, one of a group, or a slip; else empty. */
const nearOf = (unknown: string, root: Command): string => {
  const elsewhere = ELSEWHERE[unknown]
  if (elsewhere !== undefined) return `; did you mean ${elsewhere}?`
  const group = root.commands.find((each) => visibleNames(each).includes(unknown))
  return group === undefined
    ? suggestion(unknown, visibleNames(root))
    : `; did you mean ${group.name()} ${unknown}?`
}

/** Of its commands, but for those that only tutti itself calls. */
const visibleNames = (command: Command): readonly string[] =>
  command.commands.map((each) => each.name()).filter((name) => !name.startsWith('_'))

/** Commander's complaints in the house's form. */
const usageSentence = (error: CommanderError, root: Command, all: readonly string[]): string => {
  if (error.code === 'commander.help') return 'that names no command; see tutti --help'
  const argv = withoutLeadingOptions(root, all)
  const { command, path } = commandOf(root, argv)
  const help = `see tutti ${path === '' ? '' : `${path} `}--help`
  const words = argv.filter((word) => !word.startsWith('-'))
  const unknown = words[path === '' ? 0 : path.split(' ').length]
  const children = visibleNames(command)
  const isWrongChild =
    error.code === 'commander.unknownCommand' ||
    (error.code === 'commander.excessArguments' && command.registeredArguments.length === 0)
  if (isWrongChild && children.length > 0 && unknown !== undefined) {
    if (path === '' && LATER.includes(unknown)) {
      return `tutti ${unknown} is not offered in this version yet; see tutti --help for what is`
    }
    const near = (path === '' ? nearOf(unknown, root) : suggestion(unknown, children)) || `; ${help}`
    return `'${unknown}' is not a command of tutti${path === '' ? '' : ` ${path}`}${near}`
  }
  const message = error.message
    .replace(/^error: /, '')
    .replace(
      /\n\(Did you mean (one of )?(.*)\?\)$/s,
      (_whole, _many, names: string) => `; did you mean ${names}?`,
    )
    .replace(/\.$/, '')
  return message.includes('did you mean') ? message : `${message}; ${help}`
}

/** The words from the first one on that is neither an option of root nor its value. */
const withoutLeadingOptions = (root: Command, argv: readonly string[]): readonly string[] => {
  let at = 0
  for (let word = argv[at]; word?.startsWith('-') === true; word = argv[at]) {
    const option = root.options.find(({ long }) => long === word)
    at += option?.required === true ? 2 : 1
  }
  return argv.slice(at)
}

/** The deepest command that the words name. */
const commandOf = (
  root: Command,
  argv: readonly string[],
): { readonly command: Command; readonly path: string } => {
  let command = root
  const path: string[] = []
  for (const word of argv) {
    const child = command.commands.find((each) => each.name() === word)
    if (child === undefined) continue
    command = child
    path.push(word)
  }
  return { command, path: path.join(' ') }
}
