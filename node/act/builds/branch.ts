// Asks a repository which commit a branch is at, without fetching anything. Never asks a person: a peer has nobody at its
// terminal, so what needs a password fails at once.

import { execFile } from 'node:child_process'

export type BranchLook =
  | { readonly kind: 'at'; readonly commit: string }
  /** Why nobody knows, in one sentence. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** A git server that has not answered by then is down. */
const TIMEOUT_MS = 30_000
/** One line. */
const OUTPUT_BYTES_MAX = 64 * 1024
const REASON_LENGTH_MAX = 300

/** The environment in which git asks nobody anything. */
export const unattended = (
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> => ({
  ...environment,
  LC_ALL: 'C',
  GIT_TERMINAL_PROMPT: '0',
  GIT_SSH_COMMAND: environment['GIT_SSH_COMMAND'] ?? 'ssh -o BatchMode=yes -o ConnectTimeout=15',
})

/** Never throws. */
export const lookAtBranch = (
  repository: string,
  branch: string,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<BranchLook> =>
  new Promise((resolve) => {
    const words = ['ls-remote', '--exit-code', '--', repository, `refs/heads/${branch}`]
    const options = {
      // Not within some repository by accident.
      cwd: '/',
      env: unattended(environment),
      timeout: TIMEOUT_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
      signal,
    }
    execFile('git', words, options, (error, stdout, stderr) => {
      const commit = /^([0-9a-f]{40,64})\t/m.exec(stdout)?.[1]
      if (error === null && commit !== undefined) resolve({ kind: 'at', commit })
      // ls-remote's own status for no match.
      else if (error?.code === 2)
        resolve({ kind: 'unknown', reason: `${repository} has no branch ${branch}` })
      else resolve({ kind: 'unknown', reason: reasonOf(stderr, error) })
    })
  })

const reasonOf = (stderr: string, error: Error | null): string => {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const line =
    lines.find((each) => each.startsWith('fatal:')) ?? lines.at(-1) ?? error?.message ?? 'no answer'
  return line.replace(/^fatal: /, '').slice(0, REASON_LENGTH_MAX)
}
