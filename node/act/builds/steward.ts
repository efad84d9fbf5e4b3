// What this peer does about the build duties of its cluster: looks at the branches of those that it is steward of, and
// has every new commit released, one at a time. The choice of the steward is node/plan/build-duty.ts's; what was built is
// in the intent, written by the release itself or, when that failed, through `record`. States of a duty here: resting
// (somebody else's), watching, building, hindered (tried again later, by others meanwhile).

import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../../lib/errors.ts'
import type { Log } from '../../../lib/log.ts'
import { DUTY_MARK, RELEASE_MARK } from '../../../lib/release-mark.ts'
import type { Clock } from '../../../lib/time.ts'
import type { BuildOutcome } from '../../../crdt/schema/build-duty.ts'
import type { BuilderFacts, BuildProgress } from '../../../crdt/schema/status.ts'
import type { BuildDutyView } from '../../../crdt/schema/view.ts'
import { buildStewardOf } from '../../plan/build-duty.ts'
import type { AgentSnapshot } from '../../ports.ts'
import { resolveCommand, SYSTEM_PATH } from '../drivers/process/command.ts'
import { allPids, environmentOf } from '../drivers/process/identity.ts'
import { lookAtBranch, unattended, type BranchLook } from './branch.ts'
import { runRelease, type ReleaseEnd, type ReleaseProcess } from './release-process.ts'

export interface BuildStewardOptions {
  /** Where repositories are fetched to and builds are made: a folder of the data directory. */
  readonly folder: string
  /** The API's socket of this peer. */
  readonly socket: string
  /** The command line itself; null: this peer was not started by it, and builds nothing. */
  readonly program: readonly string[] | null
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly log: Log
  readonly snapshot: () => AgentSnapshot
  /** Says to the others what this peer does about a duty; null: nothing special. */
  readonly say: (duty: string, progress: BuildProgress | null) => void
  /** Writes down how a commit fared, on top of the outcome of `after`. @throws TuttiError. */
  readonly record: (duty: string, outcome: BuildOutcome, after: string | null) => Promise<void>
  /** Tells people. */
  readonly note: (subject: string, message: string) => void
  /** @default git ls-remote */
  readonly look?: typeof lookAtBranch
  /** @default a child process */
  readonly release?: (process: ReleaseProcess) => Promise<ReleaseEnd>
}

interface Watch {
  nextMs: number
  /** Looks or releases in a row that could not be made. */
  troubles: number
  progress: BuildProgress | null
  busy: boolean
}

/** A hindered peer tries again after this long, and twice as long each time… */
const RETRY_MS = 5000
/** …up to this: then somebody has mended its network or its disk. */
const RETRY_MAX_MS = 60_000
/** One lost connection is no reason to hand the duty over. */
const TROUBLES_ALLOWED = 2
/** A duty of somebody else's is looked at again then, since members come and go without a word to this file. */
const REST_MS = 1000

export class BuildSteward {
  readonly #options: BuildStewardOptions
  readonly #watches = new Map<string, Watch>()
  readonly #stopping = new AbortController()
  #cancel: (() => void) | null = null
  /** The duties for which the folder was swept last. */
  #swept: string | null = null
  /** The one release that runs. */
  #building: { readonly duty: string; readonly abort: AbortController; readonly done: Promise<void> } | null =
    null

  constructor(options: BuildStewardOptions) {
    this.#options = options
  }

  /** What this peer says of itself. */
  facts(): BuilderFacts {
    const { program, environment } = this.#options
    if (program === null) return { lack: 'was not started by the command line' }
    try {
      resolveCommand('git', { directory: '/', path: environment['PATH'] ?? SYSTEM_PATH, peer: '' })
      return { lack: '' }
    } catch {
      return { lack: 'has no git' }
    }
  }

  /** Ends what a crash of this peer left of its builds. */
  start(): void {
    const { folder } = this.#options
    for (const pid of allPids()) {
      const environment = pid === process.pid ? null : environmentOf(pid)
      const marks = [environment?.[DUTY_MARK], environment?.[RELEASE_MARK]]
      if (!marks.some((mark) => mark?.startsWith(`${folder}/`) === true)) continue
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // Gone since the look.
      }
    }
  }

  /** Called when the cluster may have changed. */
  follow({ view }: AgentSnapshot): void {
    const duties = view.buildDuties ?? []
    const names = new Set(duties.map(({ name }) => name))
    for (const [name, watch] of this.#watches) {
      if (names.has(name)) continue
      this.#watches.delete(name)
      this.#tell(name, watch, null)
      if (this.#building?.duty === name) this.#building.abort.abort()
    }
    for (const { name } of duties)
      if (!this.#watches.has(name))
        this.#watches.set(name, { nextMs: 0, troubles: 0, progress: null, busy: false })
    this.#sweep(names)
    if (duties.length > 0) this.#arm(0)
  }

  /** Removes the repositories of duties that are no more. */
  #sweep(names: ReadonlySet<string>): void {
    const { folder, log } = this.#options
    const key = [...names].toSorted().join(' ')
    if (this.#swept === key || this.#building !== null) return
    this.#swept = key
    for (const name of entriesOf(folder).filter((each) => !names.has(each)))
      rm(join(folder, name), { recursive: true, force: true, maxRetries: 3 }).catch((thrown: unknown) =>
        log.log('warn', 'a repository could not be removed', { duty: name, error: thrown }),
      )
  }

  /** Ends what it has begun. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#cancel?.()
    this.#building?.abort.abort()
    await this.#building?.done
  }

  #arm(delayMs: number): void {
    if (this.#stopping.signal.aborted) return
    // A look that is due soon is not put off by news; one that rests is brought forward.
    if (this.#cancel !== null && delayMs > 0) return
    this.#cancel?.()
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = null
      this.#tick()
    })
  }

  #tick(): void {
    const { clock, snapshot, log } = this.#options
    const now = snapshot()
    const duties = now.view.buildDuties ?? []
    for (const duty of duties) {
      const watch = this.#watches.get(duty.name)
      if (watch === undefined || watch.busy || watch.nextMs > clock.now()) continue
      const isMine = buildStewardOf(duty.name, now) === now.self
      // A hindered peer looks on, so that it knows when it is hindered no more.
      if (!isMine && watch.progress === null) continue
      watch.busy = true
      this.#attend(duty, watch, isMine)
        .catch((thrown: unknown) =>
          log.log('error', 'a build duty could not be attended to', { duty: duty.name, error: thrown }),
        )
        .finally(() => {
          watch.busy = false
        })
    }
    if (duties.length > 0) this.#arm(REST_MS)
  }

  async #attend(duty: BuildDutyView, watch: Watch, isMine: boolean): Promise<void> {
    const { clock, environment, look = lookAtBranch } = this.#options
    const found = await look(duty.repository, duty.branch, environment, this.#stopping.signal)
    if (this.#stopping.signal.aborted) return
    watch.nextMs = clock.now() + duty.everyMs
    if (found.kind === 'unknown') {
      this.#hindered(duty, watch, found.reason)
      return
    }
    if (isMine && duty.outcome?.commit !== found.commit) await this.#build(duty, watch, found)
    else this.#unhindered(duty, watch)
  }

  async #build(
    duty: BuildDutyView,
    watch: Watch,
    { commit }: Extract<BranchLook, { kind: 'at' }>,
  ): Promise<void> {
    // One at a time; the branch is looked at again soon.
    if (this.#building !== null) return
    const { clock, note } = this.#options
    const abort = new AbortController()
    const done = Promise.withResolvers<void>()
    this.#building = { duty: duty.name, abort, done: done.promise }
    this.#tell(duty.name, watch, { phase: 'building', commit, since: clock.wall(), reason: '' })
    note(duty.name, `building ${commit.slice(0, 12)} of ${duty.branch}`)
    try {
      const end = await this.#release(duty, commit, abort.signal)
      if (!abort.signal.aborted) await this.#ended(duty, watch, commit, end)
    } finally {
      this.#building = null
      done.resolve()
      if (watch.progress?.phase === 'building') this.#tell(duty.name, watch, null)
      // A duty that was taken back meanwhile leaves its repository now.
      if (!this.#stopping.signal.aborted) this.follow(this.#options.snapshot())
    }
  }

  async #release(duty: BuildDutyView, commit: string, signal: AbortSignal): Promise<ReleaseEnd> {
    const { program, folder, socket, environment, release = runRelease } = this.#options
    const work = join(folder, duty.name)
    const words = [
      ...(program ?? []),
      'release',
      `--peer=${socket}`,
      `--repo=${duty.repository}`,
      `--rev=${commit}`,
      `--file=${duty.file}`,
      `--work=${work}`,
      `--duty=${duty.name}`,
      `--after=${duty.outcome?.commit ?? ''}`,
      '--yes',
      '--no-wait',
      '--json',
    ]
    const own = Object.entries(unattended(environment)).filter(([name]) => !name.startsWith('TUTTI_'))
    return await release({
      words,
      environment: { ...Object.fromEntries(own), NO_COLOR: '1', [DUTY_MARK]: work },
      signal,
    })
  }

  async #ended(duty: BuildDutyView, watch: Watch, commit: string, end: ReleaseEnd): Promise<void> {
    const { note, record, snapshot } = this.#options
    const short = commit.slice(0, 12)
    if (end.kind === 'hindered') {
      watch.troubles = TROUBLES_ALLOWED
      this.#hindered(duty, watch, end.reason)
      return
    }
    this.#unhindered(duty, watch)
    if (end.kind === 'released') {
      note(duty.name, `released ${short} of ${duty.branch}`)
      return
    }
    // Another steward was first, or the duty is another one by now: what this one found no longer matters.
    const present = snapshot().view.buildDuties?.find(({ name }) => name === duty.name)
    if (present === undefined || present.outcome?.commit !== duty.outcome?.commit) return
    note(duty.name, `${short} of ${duty.branch} failed: ${end.message}`)
    const { message, output } = end
    const outcome = {
      commit,
      version: '',
      kind: 'failed' as const,
      message: message.slice(0, 500),
      output: [...output],
    }
    try {
      await record(duty.name, outcome, duty.outcome?.commit ?? null)
    } catch (thrown) {
      this.#hindered(duty, watch, `how ${short} fared could not be written down: ${messageOf(thrown)}`)
    }
  }

  #hindered(duty: BuildDutyView, watch: Watch, reason: string): void {
    const { clock, note } = this.#options
    watch.troubles += 1
    const waitMs = Math.min(RETRY_MS * 2 ** Math.min(watch.troubles - 1, 10), RETRY_MAX_MS)
    watch.nextMs = clock.now() + Math.max(waitMs, duty.everyMs)
    if (watch.troubles <= TROUBLES_ALLOWED) return
    if (watch.progress?.phase !== 'hindered') note(duty.name, `cannot build here: ${reason}`)
    if (watch.progress?.reason === reason) return
    this.#tell(duty.name, watch, { phase: 'hindered', commit: '', since: clock.wall(), reason })
  }

  #unhindered(duty: BuildDutyView, watch: Watch): void {
    watch.troubles = 0
    if (watch.progress?.phase === 'hindered') this.#tell(duty.name, watch, null)
  }

  #tell(duty: string, watch: Watch, progress: BuildProgress | null): void {
    if (watch.progress === progress) return
    watch.progress = progress
    this.#options.say(duty, progress)
  }
}

const entriesOf = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    // None was ever followed here.
    return []
  }
}
