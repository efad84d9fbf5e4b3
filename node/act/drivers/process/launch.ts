// The launch: what the spawner runs for one instance. It holds the FIFO from its first line on, so that even its own
// failure is noticed, writes down what confines the run, enters the directory, turns output to its files and becomes the
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

/** A launch as text, for two kinds of shell. */
export interface LaunchTexts {
  /** For a shell that becomes the shim. */
  readonly script: () => string
  /** For a shell that goes on to others afterwards: its status is 0 when the shim was begun. */
  readonly command: () => string
}

/**
 * The launch, for a shell that has no exported variables but PATH. `$TUTTI_SESSION` goes before the shim: words that
 * begin a session, or nothing where the shell has one to itself.
 */
export const launchTexts = (plan: LaunchPlan): LaunchTexts => ({
  script: () => launchScript(plan),
  command: () => (isSimple(plan) ? simpleCommand(plan) : `( ${launchScript(plan)})`),
})

const aliveFile = ({ runDirectory }: LaunchPlan): string => quoted(`${runDirectory}/${RUN_FILES.alive}`)

/** Nothing where it is told already. */
const tellConfined = ({ confined, runDirectory }: LaunchPlan): readonly string[] =>
  confined === ''
    ? []
    : [`printf %s ${quoted(confinedLine(confined))} >${quoted(`${runDirectory}/${RUN_FILES.told}`)}`]

const shimWords = ({ shell, shim, runDirectory, joins, prelude, command }: LaunchPlan): readonly string[] =>
  [shell, shim, runDirectory, joins, prelude, ...command].map(quoted)

/** The text for a shell that becomes the shim. */
export const launchScript = (plan: LaunchPlan): string => {
  const names = Object.keys(plan.environment)
  const variables = Object.entries(plan.environment).map(([name, value]) => quoted(`${name}=${value}`))
  const words = shimWords(plan)
  // One exec less, a tenth of a start, where the shell itself can hand the variables on.
  const become = names.every(isPlain)
    ? [
        'unset PATH OLDPWD SHLVL',
        ...(variables.length === 0 ? [] : [`export ${variables.join(' ')}`]),
        `exec $TUTTI_SESSION ${words.join(' ')}`,
      ]
    : [`exec $TUTTI_SESSION env -i ${[...variables, ...words].join(' ')}`]
  return [
    `exec 9<>${aliveFile(plan)} || exit 125`,
    ...tellConfined(plan).map((tell) => `${tell} || exit 125`),
    `exec </dev/null >>${quoted(plan.stdout)} 2>>${quoted(plan.stderr)} || exit 125`,
    ...(plan.watchdog === '' ? [] : [plan.watchdog]),
    `cd ${quoted(plan.workingDirectory)} || exit 125`,
    ...become,
    '',
  ].join('\n')
}

/** Whether a launch is one command and nothing runs beside it; with a PATH, since the shell would hand its own on. */
const isSimple = ({ environment, watchdog }: LaunchPlan): boolean =>
  watchdog === '' && Object.hasOwn(environment, 'PATH') && Object.keys(environment).every(isPlain)

/**
 * A launch without a fork of the shell: with a command alone, and its variables and files before and after it, a shell may
 * use vfork(2), as dash does. A tenth of a start. The shell goes back to where it was, so that it holds no file system up.
 */
const simpleCommand = (plan: LaunchPlan): string => {
  const variables = Object.entries(plan.environment).map(([name, value]) => `${name}=${quoted(value)}`)
  const files = `9<>${aliveFile(plan)} </dev/null >>${quoted(plan.stdout)} 2>>${quoted(plan.stderr)}`
  const steps = [
    `cd ${quoted(plan.workingDirectory)}`,
    'unset OLDPWD SHLVL',
    ...tellConfined(plan),
    `${variables.join(' ')} $TUTTI_SESSION ${shimWords(plan).join(' ')} ${files}`,
  ]
  return `${steps.join(' &&\n')}\nTUTTI_STATUS=$?; cd /; [ "$TUTTI_STATUS" = 0 ]`
}
