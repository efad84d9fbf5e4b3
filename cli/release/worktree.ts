// A commit checked out into a fresh directory of its own, for as long as it is used: what is not committed is not there,
// and what a build writes there goes with it. The directory is removed whatever ends the use; what a kill leaves is
// removed by the next release (leftovers.ts).

import { mkdtemp, rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../lib/errors.ts'
import { EXIT, Failure } from '../exit.ts'
import { GitFailure, type Git } from './git.ts'
import { CHECKOUT, killMarked, ownPrefix, removeLeftovers } from './leftovers.ts'

/** Where a release works. */
export interface Workplace {
  /** Everything of this release; removed at its end. */
  readonly directory: string
  /** The commit's files. */
  readonly checkout: string
}

/** After an interrupt git must still take the worktree out of its list. */
const CLEANING_MS = 30_000

/** Checks the commit out below `base`, uses it, and removes it. @throws Failure when it cannot be checked out. */
export const withWorktree = async <T>(
  git: Git,
  commit: string,
  base: string,
  use: (workplace: Workplace) => Promise<T>,
): Promise<T> => {
  await removeLeftovers(git, base)
  const directory = await mkdtemp(join(base, ownPrefix()))
  const checkout = join(directory, CHECKOUT)
  try {
    await git.run('worktree', 'add', '--quiet', '--detach', checkout, commit)
    if (existsSync(join(checkout, '.gitmodules')))
      await git.at(checkout).run('submodule', '--quiet', 'update', '--init', '--recursive')
    return await use({ directory, checkout })
  } catch (thrown) {
    if (!(thrown instanceof GitFailure)) throw thrown
    throw new Failure(
      EXIT.failed,
      `commit ${commit.slice(0, 12)} cannot be checked out: ${messageOf(thrown)}`,
      {
        cause: thrown,
      },
    )
  } finally {
    killMarked(directory)
    const cleaning = git.at(git.directory, AbortSignal.timeout(CLEANING_MS))
    await cleaning.ask('worktree', 'remove', '--force', '--force', checkout).catch(() => null)
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}
