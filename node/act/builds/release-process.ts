// One release for a build duty: `tutti release` as a child process of low priority, which builds, pushes and applies
// through this peer's own API. Bounded in time and in what is kept of its output. What its end means for the duty,
// steward.ts decides.

import { spawn, type ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { setPriority } from 'node:os'

export interface ReleaseProcess {
  /** Program and words of the command line. */
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
}

export type ReleaseEnd =
  | { readonly kind: 'released' }
  /** The commit is at fault: the same again would end the same. */
  | { readonly kind: 'failed'; readonly message: string; readonly output: readonly string[] }
  /** This machine or the network is; another try may do. */
  | { readonly kind: 'hindered'; readonly reason: string }

/** As the command line ends where trying again may help (sysexits.h, EX_TEMPFAIL). */
const EXIT_TEMPORARY = 75
const EXIT_INTERRUPTED = 130
/** The builds of a cell one after the other, each with its own limit; then something hangs. */
const TIMEOUT_MS = 2 * 3_600_000
/** It removes its worktree meanwhile. */
const GRACE_MS = 10_000
/** After its end, a process that it left behind may hold its output open; nobody waits for that. */
const SILENCE_MS = 500
/** The last lines are all that is looked at. */
const KEPT_LENGTH_MAX = 64 * 1024
const LINES_MAX = 20
const LINE_LENGTH_MAX = 500
/** Services go first: half of a process's usual share of a core at most… */
const NICENESS = 10
/** …and builds die first where memory ends. */
const OOM_SCORE = '500'

/** Runs it to its end. Never throws. */
export const runRelease = async ({ words, environment, signal }: ReleaseProcess): Promise<ReleaseEnd> => {
  const [program = '', ...rest] = words
  const child = spawn(program, rest, {
    cwd: '/',
    env: environment,
    // A group of its own: Ctrl-C at a peer's terminal is for the peer, which ends the release in order.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let kept = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (chunk: string) => (kept = (kept + chunk).slice(-KEPT_LENGTH_MAX)))
  if (child.pid !== undefined) humble(child.pid)
  let timedOut = false
  const end = (): void => {
    signalGroup(child, 'SIGTERM')
    setTimeout(() => signalGroup(child, 'SIGKILL'), GRACE_MS).unref()
  }
  const timer = setTimeout(() => {
    timedOut = true
    end()
  }, TIMEOUT_MS)
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  try {
    const ended = await new Promise<number | string>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signalled) => {
        const late = setTimeout(() => child.stderr.destroy(), SILENCE_MS)
        child.once('close', () => {
          clearTimeout(late)
          resolve(code ?? signalled ?? '')
        })
      })
    })
    return endOf(ended, kept, timedOut)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}

/** The launcher's own small commands included; builds are in groups of their own, which the command line ends. */
const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  try {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, signal)
  } catch {
    // The whole group is gone.
  }
}

/** Best effort: a container may allow neither. */
const humble = (pid: number): void => {
  try {
    setPriority(pid, NICENESS)
  } catch {
    // It has ended already, or may not.
  }
  writeFile(`/proc/${pid}/oom_score_adj`, OOM_SCORE).catch(() => undefined)
}

const endOf = (ended: number | string, kept: string, timedOut: boolean): ReleaseEnd => {
  if (ended === 0) return { kind: 'released' }
  const { message, output } = wordsOf(kept)
  if (timedOut)
    return { kind: 'failed', message: 'the release took longer than two hours and was ended', output }
  if (ended === EXIT_TEMPORARY) return { kind: 'hindered', reason: message }
  if (ended === EXIT_INTERRUPTED || typeof ended === 'string')
    return { kind: 'hindered', reason: `the release was interrupted (${ended})` }
  return { kind: 'failed', message, output }
}

/** The last words of the command line: `tutti: SENTENCE`, then more of it, and lines of output that begin with a bar. */
export const wordsOf = (kept: string): { readonly message: string; readonly output: readonly string[] } => {
  const lines = kept.split('\n').map((line) => line.slice(0, LINE_LENGTH_MAX))
  const at = lines.findLastIndex((line) => line.startsWith('tutti: '))
  const message = lines[at]?.slice('tutti: '.length) ?? 'the release failed without a word'
  const output = lines
    .slice(at + 1)
    .filter((line) => line !== '')
    .map((line) => line.replace(/^ {2}\| /, ''))
  return { message, output: output.slice(-LINES_MAX) }
}
