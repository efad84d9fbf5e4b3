// The commit that a release is of: found from a revision, with the version that it gets. Reads the repository; changes
// nothing. A version is the same wherever the commit is looked at, so abbreviations have one length and tags decide.

import { Failure, EXIT } from '../exit.ts'
import type { Git } from './git.ts'

export interface Revision {
  /** Its whole hash. */
  readonly commit: string
  /** `git describe`: `v1.4.2`, `v1.4.2-3-g0123456789ab`, or the abbreviated hash where there is no tag. */
  readonly version: string
  /** Of the commit: `Name <address>`. */
  readonly author: string
  /** When it was committed, wall time in milliseconds. */
  readonly at: number
  readonly subject: string
}

/** Git's own default depends on how many objects a clone has; 48 bits do for any repository. */
const ABBREVIATION = 12
// What a version may have in it; a tag may have more, as in release/1.4.
const NOT_IN_VERSION = /[^A-Za-z0-9._+-]+/g
const VERSION_LENGTH_MAX = 64

/** The commit that a revision names. @throws Failure when it names none. */
export const revisionOf = async (git: Git, rev: string): Promise<Revision> => {
  const commit = await git.ask('rev-parse', '--verify', '--quiet', '--end-of-options', `${rev}^{commit}`)
  if (commit === null) {
    const next = rev === 'HEAD' ? 'commit something first' : 'see git log and git tag for what there is'
    throw new Failure(EXIT.failed, `'${rev}' names no commit of ${git.directory}; ${next}`)
  }
  const format = '--format=%an <%ae>%x00%ct%x00%s'
  const shown = await git.run('-c', 'log.showSignature=false', 'show', '--no-patch', format, commit)
  const [author = '', seconds = '0', subject = ''] = shown.split('\0')
  const described = await git.run('describe', '--tags', '--always', `--abbrev=${ABBREVIATION}`, commit)
  return { commit, version: versionFrom(described), author, at: Number(seconds) * 1000, subject }
}

/** What git describes, as a version of a package. */
export const versionFrom = (described: string): string =>
  described
    .replace(NOT_IN_VERSION, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, VERSION_LENGTH_MAX)

/** Files that differ from the commit, and those that git does not know and does not ignore. */
export const uncommitted = async (git: Git): Promise<readonly string[]> => {
  const status = await git.run('status', '--porcelain=v1', '-z', '--untracked-files=normal')
  const files: string[] = []
  const parts = status.split('\0')
  for (let at = 0; at < parts.length; at += 1) {
    const part = parts[at] ?? ''
    if (part.length < 4) continue
    files.push(part.slice(3))
    // A renamed file's old name follows in a part of its own.
    if (part.startsWith('R') || part.startsWith('C')) at += 1
  }
  return files
}
