// The launch script: what the spawner runs for one instance. It holds the FIFO from its first line on, so that even its
// own failure is noticed, enters the directory, turns output to its files and becomes the shim with exactly the given
// environment. Text only; nothing here touches the disk or a process.

/** Everything that one launch needs; all paths absolute. */
export interface LaunchPlan {
  readonly shell: string
  readonly shim: string
  /** Of this run: FIFO, pid, exit. */
  readonly runDirectory: string
  readonly workingDirectory: string
  readonly stdout: string
  readonly stderr: string
  readonly environment: Readonly<Record<string, string>>
  /** The program, absolute, and its arguments. */
  readonly command: readonly string[]
}

/** Names of the files in a run directory. */
export const RUN_FILES = {
  alive: 'alive',
  launch: 'launch',
  /** `<pid> <start time>` of the shim, written before the program starts. */
  pid: 'pid',
  /** The exit status as a shell knows it; empty: not written yet. */
  exit: 'exit',
} as const

/** A word that a POSIX shell reads as exactly this text. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** The script's text. */
export const launchScript = (plan: LaunchPlan): string => {
  const variables = Object.entries(plan.environment).map(([name, value]) => quoted(`${name}=${value}`))
  const words = [plan.shell, plan.shim, plan.runDirectory, ...plan.command].map(quoted)
  return [
    `exec 9<>${quoted(`${plan.runDirectory}/${RUN_FILES.alive}`)} || exit 125`,
    `exec </dev/null >>${quoted(plan.stdout)} 2>>${quoted(plan.stderr)} || exit 125`,
    `cd ${quoted(plan.workingDirectory)} || exit 125`,
    `exec env -i ${[...variables, ...words].join(' ')}`,
    '',
  ].join('\n')
}
