// Git as a program: runs it in a directory and gives its words, or a failure that holds git's own sentence. What the
// repository's hooks and the surrounding git command (a hook that calls `tutti release`) set is kept away from it.

import { execFile } from 'node:child_process'
import { TuttiError } from '../../lib/errors.ts'
import { EXIT, Failure } from '../exit.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Lists of files of a large repository take some megabytes. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** A clone of a large repository over a slow line; everything else takes a moment. */
const TIMEOUT_MS = 15 * 60_000

/** What `git rev-parse --local-env-vars` lists: they name another repository than the one that is meant. */
const LOCAL_VARIABLES = new Set([
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_COMMON_DIR',
  'GIT_CONFIG',
  'GIT_DIR',
  'GIT_GRAFT_FILE',
  'GIT_IMPLICIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_INTERNAL_SUPER_PREFIX',
  'GIT_NO_REPLACE_OBJECTS',
  'GIT_OBJECT_DIRECTORY',
  'GIT_PREFIX',
  'GIT_REPLACE_REF_BASE',
  'GIT_SHALLOW_FILE',
  'GIT_WORK_TREE',
])

/** An environment in which git finds the repository of its directory and no other. */
export const withoutRepository = (environment: Environment): Environment =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !LOCAL_VARIABLES.has(name)))

/** Git ran and refused. The message is its own last word. */
export class GitFailure extends Error {
  override readonly name = 'GitFailure'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export class Git {
  readonly directory: string
  readonly #environment: Environment
  readonly #signal: AbortSignal

  constructor(directory: string, environment: Environment, signal: AbortSignal) {
    this.directory = directory
    this.#environment = withoutRepository(environment)
    this.#signal = signal
  }

  /** The same git in another directory. `signal`: what ends its commands. */
  at(directory: string, signal = this.#signal): Git {
    return new Git(directory, this.#environment, signal)
  }

  /** What it prints, without the last line's end. @throws GitFailure; TuttiError `unsupported` where there is no git. */
  async run(...words: readonly string[]): Promise<string> {
    return await new Promise((resolve, reject) => {
      // Hooks are other people's programs; a checkout for a release is nobody's switch of branches.
      const all = ['-c', 'core.hooksPath=/dev/null', '-c', 'advice.detachedHead=false', ...words]
      const options = {
        cwd: this.directory,
        // Its messages are read here, and a look must not take the index's lock from the person who works there.
        env: { ...this.#environment, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0' },
        maxBuffer: OUTPUT_BYTES_MAX,
        timeout: TIMEOUT_MS,
        signal: this.#signal,
      }
      execFile('git', all, options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout.replace(/\n$/, ''))
        else if (this.#signal.aborted)
          reject(new Failure(EXIT.interrupted, 'interrupted; nothing was changed'))
        else if (error.code === 'ENOENT')
          reject(new TuttiError('unsupported', 'git is not installed here; install it, and release again'))
        else reject(new GitFailure(Number(error.code ?? 1), lastWord(stderr) || error.message))
      })
    })
  }

  /** As `run`; null where git refuses. @throws TuttiError `unsupported` where there is no git. */
  async ask(...words: readonly string[]): Promise<string | null> {
    try {
      return await this.run(...words)
    } catch (thrown) {
      if (thrown instanceof GitFailure) return null
      throw thrown
    }
  }
}

/** The sentence of git's that says why: the last `fatal:` or `error:`, else the last line. */
const lastWord = (stderr: string): string => {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const line = lines.findLast((each) => /^(fatal|error):/.test(each)) ?? lines.at(-1) ?? ''
  return line.replace(/^(fatal|error): /, '')
}
