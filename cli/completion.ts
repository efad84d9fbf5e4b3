// Shell completion for bash, zsh and fish, generated from the command tree, so that it never lags behind. All three ask
// the hidden `tutti __complete WORDS…`; the scripts hold no knowledge of the commands.

import type { Command } from 'commander'

export type Shell = 'bash' | 'zsh' | 'fish'
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# tutti completion for bash: source <(tutti completion bash)
_tutti() {
  local cur words IFS=$'\\n'
  _get_comp_words_by_ref -n := cur words 2>/dev/null || { words=("\${COMP_WORDS[@]}"); cur="\${COMP_WORDS[COMP_CWORD]}"; }
  COMPREPLY=($(compgen -W "$(tutti __complete -- "\${words[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$cur"))
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
  return 0
}
complete -o default -F _tutti tutti
`,
  zsh: `#compdef tutti
# tutti completion for zsh: source <(tutti completion zsh)
_tutti() {
  local -a found
  found=("\${(@f)$(tutti __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}
compdef _tutti tutti
`,
  fish: `# tutti completion for fish: tutti completion fish | source
function __tutti_complete
  set -l words (commandline -opc) (commandline -ct)
  tutti __complete -- $words[2..-1] 2>/dev/null
end
complete -c tutti -a '(__tutti_complete)'
`,
}

/** The script to source. */
export const completionScript = (shell: Shell): string => SCRIPTS[shell]

/** What a peer knows and a command line may name. */
export interface Names {
  readonly peers: readonly string[]
  readonly cells: readonly string[]
  readonly services: readonly string[]
  readonly slots: readonly string[]
  /** The newest changes, as tables show them. */
  readonly changes: readonly string[]
  readonly buildDuties: readonly string[]
  readonly packages: readonly string[]
}

// Which names an argument takes, by the argument's name in the command tree.
const NAMES_OF: Readonly<Record<string, (names: Names) => readonly string[]>> = {
  peer: ({ peers }) => peers,
  service: ({ services }) => services,
  'service=n': ({ services }) => services.map((service) => `${service}=`),
  'service-or-slot': ({ services, slots }) => [...services, ...slots],
  'cell-or-service': ({ cells, services }) => [...cells, ...services],
  'cell-service-or-slot': ({ cells, services, slots }) => [...cells, ...services, ...slots],
  change: ({ changes }) => ['now', ...changes],
  'change-or-scope': ({ changes, cells, services }) => ['now', ...changes, ...cells, ...services],
  'build-duty': ({ buildDuties }) => buildDuties,
  package: ({ packages }) => packages,
  shell: () => SHELLS,
}

/** A word to complete, in its place. */
export interface Position {
  readonly command: Command
  /** Words after the command that are no options. */
  readonly index: number
  readonly current: string
}

/** Walks the words down the tree; null within an option's value, where the shell completes files. */
export const positionOf = (root: Command, words: readonly string[]): Position | null => {
  let command = root
  let index = 0
  let expectsValue = false
  for (const word of words.slice(0, -1)) {
    if (expectsValue) {
      expectsValue = false
      continue
    }
    if (word.startsWith('-')) {
      const option = command.options.find(({ short, long }) => short === word || long === word)
      expectsValue = option?.required === true
      continue
    }
    const child = command.commands.find((each) => each.name() === word)
    if (child !== undefined && index === 0) command = child
    else index += 1
  }
  return expectsValue ? null : { command, index, current: words.at(-1) ?? '' }
}

/** Whether completing here needs names from a peer. */
export const needsNames = ({ command, index, current }: Position): boolean =>
  !current.startsWith('-') && Object.hasOwn(NAMES_OF, argumentAt(command, index))

const argumentAt = (command: Command, index: number): string => {
  const all = command.registeredArguments
  const last = all.at(-1)
  return (all[index] ?? (last?.variadic === true ? last : undefined))?.name() ?? ''
}

/** The candidates at a position that begin with the current word. */
export const candidatesAt = ({ command, index, current }: Position, names: Names): readonly string[] => {
  const options = command.options
    .filter(({ hidden }) => !hidden)
    .flatMap(({ long }) => (long === undefined || long === null ? [] : [long]))
  const children = command.commands.map((each) => each.name()).filter((name) => !name.startsWith('_'))
  const all = current.startsWith('-')
    ? [...options, '--help']
    : [...(index === 0 ? children : []), ...(NAMES_OF[argumentAt(command, index)]?.(names) ?? [])]
  return all.filter((candidate) => candidate.startsWith(current))
}
