// The launch script: what the spawner runs for one instance. It holds the FIFO from its first line on, so that even its
// own failure is noticed, writes down what confines the run, enters the directory, turns output to its files and becomes the
// shim with exactly the given environment. Text only; nothing here touches the disk or a process.

/** Everything that one launch needs; all paths absolute. */
export interface LaunchPlan {
  readonly shell: string
  readonly shim: string
  /** Of this run: FIFO, pid, exit. */
  readonly runDirectory: string
  readonly workingDirectory: string
  readonly stdout: string
  readonly stderr: string
  /** What confines the run, for the next peer: one line of what the shim tells. Empty: it is told already. */
  readonly confined: string
  readonly environment: Readonly<Record<string, string>>
  /** Shell commands by which the shim joins control groups: empty for none, or where it is in them already. */
  readonly joins: string
  /** Shell commands that the program's own process runs before it becomes the program: empty for none. */
  readonly prelude: string
  /** What starts the watchdog of a run under a lease; empty: none. */
  readonly watchdog: string
  /** The program, absolute, and its arguments. */
  readonly command: readonly string[]
}

/** Names of the files in a run directory. */
export const RUN_FILES = {
  alive: 'alive',
  launch: 'launch',
  /** What the shim tells, a line for each thing: see told.ts. */
  told: 'told',
  /** Of a run under a lease: its token, and when its watchdog ends it. */
  lease: 'lease',
  /** Made when the watchdog has decided to end the run. */
  over: 'over',
  /** What its shim does last: begin the run's successor (heirs.ts). */
  heir: 'heir',
  /** In a successor's directory: who made it disposes of the successor. */
  claim: 'claim',
} as const

/** The first line of what is told of a run. */
export const confinedLine = (confined: string): string => `confined ${confined}\n`

/** A word that a POSIX shell reads as exactly this text. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Variables that a shell minds or refuses; also its own that says how to begin a session. */
const SHELLS_OWN = /^(IFS|OPTIND|LINENO|PPID|E?UID|SHELLOPTS|BASH\w*|PWD|OLDPWD|SHLVL|_|TUTTI_SESSION)$/

/** Whether a shell hands a variable of this name on as it is. */
export const isPlain = (name: string): boolean => /^[A-Za-z_]\w*$/.test(name) && !SHELLS_OWN.test(name)

/**
 * The script's text, for a shell that has no exported variables but PATH. `$TUTTI_SESSION` goes before the shim: words that
 * begin a session, or nothing where the shell has one to itself.
 */
export const launchScript = (plan: LaunchPlan): string => {
  const names = Object.keys(plan.environment)
  const variables = Object.entries(plan.environment).map(([name, value]) => quoted(`${name}=${value}`))
  const { shell, shim, runDirectory, joins, prelude } = plan
  const words = [shell, shim, runDirectory, joins, prelude, ...plan.command].map(quoted)
  // One exec less, a tenth of a start, where the shell itself can hand the variables on.
  const become = names.every(isPlain)
    ? [
        'unset PATH OLDPWD SHLVL',
        ...(variables.length === 0 ? [] : [`export ${variables.join(' ')}`]),
        `exec $TUTTI_SESSION ${words.join(' ')}`,
      ]
    : [`exec $TUTTI_SESSION env -i ${[...variables, ...words].join(' ')}`]
  return [
    `exec 9<>${quoted(`${plan.runDirectory}/${RUN_FILES.alive}`)} || exit 125`,
    ...(plan.confined === ''
      ? []
      : [
          `printf %s ${quoted(confinedLine(plan.confined))} >${quoted(`${plan.runDirectory}/${RUN_FILES.told}`)} || exit 125`,
        ]),
    `exec </dev/null >>${quoted(plan.stdout)} 2>>${quoted(plan.stderr)} || exit 125`,
    ...(plan.watchdog === '' ? [] : [plan.watchdog]),
    `cd ${quoted(plan.workingDirectory)} || exit 125`,
    ...become,
    '',
  ].join('\n')
}
