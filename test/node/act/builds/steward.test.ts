// What a peer does about build duties, on a clock that is turned by hand, with a git server and releases that do as told.

import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { describe, it } from 'node:test'
import type { BuildOutcome } from '../../../../crdt/schema/build-duty.ts'
import type { BuildProgress, MemberStatus } from '../../../../crdt/schema/status.ts'
import type { BuildDutyView } from '../../../../crdt/schema/view.ts'
import type { Clock } from '../../../../lib/time.ts'
import type { BranchLook } from '../../../../node/act/builds/branch.ts'
import type { ReleaseEnd, ReleaseProcess } from '../../../../node/act/builds/release-process.ts'
import { BuildSteward, type BuildStewardOptions } from '../../../../node/act/builds/steward.ts'
import type { AgentSnapshot } from '../../../../node/ports.ts'
import { fleet, idOf, type MemberOptions } from '../../plan/fleet.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)
const EVERY_MS = 10_000

class HandClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<{ readonly atMs: number; readonly fire: () => void }>()

  now(): number {
    return this.#nowMs
  }

  wall(): number {
    return this.#nowMs
  }

  after(delayMs: number, fire: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, fire }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** Turns the clock on, and lets what was begun come to its next wait. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      await setImmediate()
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#nowMs = next.atMs
      next.fire()
    }
    this.#nowMs = endMs
    await setImmediate()
  }
}

/** A peer `a` beside others, all of whom can build. */
const stage = (
  members: Record<string, MemberOptions> = { a: {} },
  over: Partial<BuildStewardOptions> = {},
) => {
  const clock = new HandClock()
  const said = new Map<string, BuildProgress | null>()
  const notes: string[] = []
  const released: { readonly words: readonly string[]; readonly end: (end: ReleaseEnd) => void }[] = []
  const aborted: string[] = []
  let looks = 0
  let found: BranchLook = { kind: 'at', commit: A }
  let duties: readonly BuildDutyView[] = [
    {
      name: 'shop',
      repository: 'https://git.example.org/shop.git',
      branch: 'main',
      file: 'cell.yaml',
      everyMs: EVERY_MS,
      outcome: null,
    },
  ]
  const snapshot = (): AgentSnapshot => {
    const input = fleet({ self: 'a', members })
    const statuses = new Map(
      [...input.statuses].map(([id, status]): [typeof id, MemberStatus] => {
        const own = id === idOf('a') ? (said.get('shop') ?? null) : null
        return [
          id,
          { ...status, builder: { lack: '' }, builds: new Map(own === null ? [] : [['shop', own]]) },
        ]
      }),
    )
    return {
      ...input,
      statuses,
      view: { ...input.view, buildDuties: duties },
      plan: null,
      wall: clock.wall(),
    }
  }
  const setOutcome = (outcome: BuildOutcome | null): void => {
    duties = duties.map((duty) => ({ ...duty, outcome }))
  }
  const steward = new BuildSteward({
    folder: '/data/builds',
    socket: '/data/tutti.sock',
    program: ['tutti'],
    environment: { PATH: '/usr/bin:/bin', TUTTI_TOKEN: 'secret' },
    clock,
    log: { log: (_level, message, fields) => assert.fail(`${message} ${JSON.stringify(fields)}`) },
    snapshot,
    say: (duty, progress) => void said.set(duty, progress),
    record: (_duty, outcome) => {
      setOutcome(outcome)
      return Promise.resolve()
    },
    note: (subject, message) => void notes.push(`${subject}: ${message}`),
    look: () => {
      looks += 1
      return Promise.resolve(found)
    },
    release: ({ words, signal, environment }: ReleaseProcess) => {
      assert.equal(environment['TUTTI_TOKEN'], undefined)
      const end = Promise.withResolvers<ReleaseEnd>()
      released.push({ words, end: end.resolve })
      signal.addEventListener('abort', () => {
        aborted.push('shop')
        end.resolve({ kind: 'hindered', reason: 'ended' })
      })
      return end.promise
    },
    ...over,
  })
  return {
    clock,
    said,
    notes,
    released,
    aborted,
    steward,
    setOutcome,
    looks: () => looks,
    find: (look: BranchLook) => {
      found = look
    },
    give: (next: readonly BuildDutyView[]) => {
      duties = next
    },
    follow: () => steward.follow(snapshot()),
  }
}

const outcomeOf = (commit: string, kind: BuildOutcome['kind'] = 'released'): BuildOutcome => ({
  commit,
  version: 'v1',
  kind,
  message: '',
  output: [],
})

describe('build steward', () => {
  it('does nothing, and looks at nothing, without a duty', async () => {
    const { clock, steward, looks, give, follow } = stage()
    give([])
    follow()
    await clock.advance(60_000)
    assert.equal(looks(), 0)
    await steward.stop()
  })

  it('releases a commit that it finds, once, and looks on every so often', async () => {
    const { clock, said, released, notes, setOutcome, looks, follow } = stage()
    follow()
    await clock.advance(0)
    assert.equal(said.get('shop')?.phase, 'building')
    assert.deepEqual(released[0]?.words, [
      'tutti',
      'release',
      '--peer=/data/tutti.sock',
      '--repo=https://git.example.org/shop.git',
      `--rev=${A}`,
      '--file=cell.yaml',
      '--work=/data/builds/shop',
      '--duty=shop',
      '--after=',
      '--yes',
      '--no-wait',
      '--json',
    ])
    setOutcome(outcomeOf(A))
    released[0]?.end({ kind: 'released' })
    await clock.advance(3 * EVERY_MS)
    assert.equal(released.length, 1)
    assert.ok(looks() >= 3 && looks() <= 4, String(looks()))
    assert.equal(said.get('shop'), null)
    assert.deepEqual(notes, ['shop: building aaaaaaaaaaaa of main', 'shop: released aaaaaaaaaaaa of main'])
  })

  it('releases the next commit on top of the last one', async () => {
    const { clock, released, setOutcome, find, follow } = stage()
    setOutcome(outcomeOf(A))
    find({ kind: 'at', commit: B })
    follow()
    await clock.advance(0)
    assert.ok(released[0]?.words.includes(`--after=${A}`))
  })

  it('writes down what failed, and does not try it again unchanged', async () => {
    const { clock, released, find, follow, notes } = stage()
    follow()
    await clock.advance(0)
    released[0]?.end({ kind: 'failed', message: 'web: the build exited with 2', output: ['boom'] })
    await clock.advance(10 * EVERY_MS)
    assert.equal(released.length, 1)
    assert.ok(notes.includes('shop: aaaaaaaaaaaa of main failed: web: the build exited with 2'))
    find({ kind: 'at', commit: B })
    await clock.advance(EVERY_MS)
    assert.equal(released.length, 2)
    assert.ok(released[1]?.words.includes(`--after=${A}`))
  })

  it('says that it is hindered once it has tried a few times, and goes on when it is not any more', async () => {
    const { clock, said, released, find, follow } = stage()
    find({ kind: 'unknown', reason: 'no route to host' })
    follow()
    await clock.advance(EVERY_MS)
    assert.equal(said.get('shop') ?? null, null)
    await clock.advance(3 * EVERY_MS)
    assert.deepEqual([said.get('shop')?.phase, said.get('shop')?.reason], ['hindered', 'no route to host'])
    find({ kind: 'at', commit: A })
    await clock.advance(60_000)
    assert.equal(released.length, 1)
  })

  it('leaves the duty to its steward, and takes it over when that dies', async () => {
    const members: Record<string, MemberOptions> = { a: {}, b: {}, c: {}, d: {}, e: {} }
    const { clock, released, follow, looks } = stage(members)
    follow()
    await clock.advance(5 * EVERY_MS)
    // By the hash of names, which never changes: another one is steward of this duty.
    assert.deepEqual([released.length, looks()], [0, 0])
    for (const name of ['b', 'c', 'd', 'e']) members[name] = { state: 'dead' }
    await clock.advance(EVERY_MS)
    assert.equal(released.length, 1)
  })

  it('ends a release whose duty is taken back, and what runs when the peer stops', async () => {
    const one = stage()
    one.follow()
    await one.clock.advance(0)
    one.give([])
    one.follow()
    await one.clock.advance(0)
    assert.deepEqual([one.aborted, one.said.get('shop')], [['shop'], null])
    const two = stage()
    two.follow()
    await two.clock.advance(0)
    await two.steward.stop()
    assert.deepEqual(two.aborted, ['shop'])
    await two.clock.advance(60_000)
    assert.equal(two.released.length, 1)
  })

  it('cannot build without the command line or git, and says which', () => {
    const factsOf = (program: readonly string[] | null, path: string): string =>
      stage({ a: {} }, { program, environment: { PATH: path } }).steward.facts().lack
    assert.equal(factsOf(null, '/usr/bin'), 'was not started by the command line')
    assert.equal(factsOf(['tutti'], '/nonexistent'), 'has no git')
    assert.equal(factsOf(['tutti'], process.env['PATH'] ?? ''), '')
  })
})
