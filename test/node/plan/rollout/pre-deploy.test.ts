// The hook before a release over several members: each plans for itself, and all that they know of each other's runs is what
// was said. Time and programs are the test's.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HookStatus, RolloutStatus } from '../../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../../crdt/schema/view.ts'
import { defined } from '../../../../lib/assert.ts'
import type { ReleaseId } from '../../../../lib/ids.ts'
import { checkPlan } from '../../../../node/plan/check-plan.ts'
import { makePlan } from '../../../../node/plan/make-plan.ts'
import type { LocalInstance, ProcessExit } from '../../../../node/plan/local.ts'
import type { Plan } from '../../../../node/plan/plan.ts'
import { attemptOf, hookInstanceOf } from '../../../../node/plan/rollout/hooks.ts'
import { rolloutSteward } from '../../../../node/plan/rollout/stewardship.ts'
import {
  fleet,
  holding,
  idOf,
  instance,
  numbered,
  service,
  type FleetOptions,
  type MemberOptions,
} from '../fleet.ts'

const RESCHEDULE_MS = 5000
const web = (over: Parameters<typeof service>[1] = {}): ServiceView =>
  service('shop/web', {
    replicas: 2,
    preDeploy: { command: ['migrate'], timeoutMs: 60_000 },
    rescheduleAfterMs: RESCHEDULE_MS,
    ports: { http: 0 },
    ...over,
  })

/** Three members, what each says, and what each has of the hook's run. */
class Land {
  nowMs = 100_000
  service: ServiceView
  readonly members: Record<string, MemberOptions> = numbered(3)
  readonly hooks: Record<string, Record<string, HookStatus>> = { m0: {}, m1: {}, m2: {} }
  readonly words: Record<string, Record<string, RolloutStatus>> = { m0: {}, m1: {}, m2: {} }
  readonly local: Record<string, LocalInstance[]> = { m0: [], m1: [], m2: [] }
  readonly memory: Record<string, Plan['rollouts']> = {}
  holds: NonNullable<FleetOptions['holds']> = {}
  /** Runs of the hook that were begun, as `MEMBER RELEASE attempt N`. */
  readonly begun: string[] = []
  readonly ended: string[] = []

  constructor(of: ServiceView = web()) {
    this.service = of
  }

  get steward(): string {
    const input = fleet({ members: this.members, services: [this.service] })
    const id = rolloutSteward(this.service.id, input)
    return defined(
      Object.keys(this.members).find((name) => idOf(name) === id),
      'a steward',
    )
  }

  get key(): string {
    return `shop/web@${this.service.release}`
  }

  /** Who says what of the hook of the wanted release. */
  said(name: string): string | undefined {
    const hook = this.hooks[name]?.[this.key]
    return hook === undefined
      ? undefined
      : `${hook.state}${hook.cutOff === true ? ' cut off' : ''} ${hook.attempt}`
  }

  /** One pass of a member, its own hands included. */
  pass(name: string): Plan {
    const local = this.local[name] ?? []
    const rollouts = this.memory[name]
    const input = {
      ...fleet({
        self: name,
        members: this.members,
        services: [this.service],
        local,
        hooks: this.hooks,
        rollouts: this.words,
        holds: this.holds,
        nowMs: this.nowMs,
      }),
      ...(rollouts === undefined ? {} : { rollouts }),
    }
    const plan = makePlan(input)
    assert.deepEqual(checkPlan(input, plan), [])
    this.memory[name] = plan.rollouts
    this.hooks[name] = Object.fromEntries(plan.stewardship?.hooks ?? [])
    this.words[name] = Object.fromEntries(
      [...(plan.stewardship?.words ?? [])].map(([id, word]) => [id, { ...word, since: 0 }]),
    )
    for (const action of plan.actions) {
      if (!action.instance.includes('/-pre-deploy@')) continue
      if (action.kind === 'start') {
        const { definition, release } = action
        const run = {
          ...instance(this.service, '-pre-deploy', { release, startedAtMs: this.nowMs }),
          definition,
        }
        local.push(run)
        this.begun.push(`${name} ${release} attempt ${attemptOf(run)}`)
      } else if (action.kind === 'stop') this.ended.push(`${name} ${action.failure ?? action.reason}`)
      else if (action.kind === 'forget')
        this.local[name] = (this.local[name] ?? []).filter(({ id }) => id !== action.instance)
    }
    return plan
  }

  /** Passes of everybody who is there, until nobody has anything new to say. */
  settle(): void {
    for (let turn = 0; turn < 6; turn += 1) {
      for (const name of Object.keys(this.members))
        if ((this.members[name]?.state ?? 'alive') === 'alive') this.pass(name)
      this.nowMs += 1
    }
  }

  /** The hook's run on a member is over. */
  exit(name: string, exit: Partial<ProcessExit>): void {
    const over = { code: null, signal: null, atMs: this.nowMs, ...exit }
    this.local[name] = (this.local[name] ?? []).map((run) => ({
      ...run,
      phase: 'exited',
      pid: null,
      exit: over,
      lastOutput: [],
    }))
  }

  /** Every slot runs the wanted release, on whichever members. */
  serve(): void {
    const [first = ''] = Object.keys(this.members)
    this.holds = { [first]: holding(this.service, [0, 1]) }
  }

  die(name: string): void {
    this.members[name] = { state: 'dead', sinceMs: this.nowMs }
  }

  come(name: string): void {
    this.members[name] = {}
  }

  open(): number | undefined {
    return this.words[this.steward]?.['shop/web']?.open
  }
}

const others = (land: Land): readonly string[] => ['m0', 'm1', 'm2'].filter((name) => name !== land.steward)

describe('the hook before a release', () => {
  it('is an instance of its own, without ports, and is said before it begins', () => {
    const land = new Land()
    const { steward } = land
    assert.deepEqual(land.pass(steward).actions, [])
    assert.equal(land.said(steward), 'running 1')
    const [action] = land.pass(steward).actions
    assert.ok(action?.kind === 'start')
    assert.equal(action.instance, hookInstanceOf(land.service, 'pre-deploy'))
    assert.deepEqual([action.definition.command, action.definition.ports], [['migrate'], {}])
    assert.equal(action.definition.environment['TUTTI_HOOK_ATTEMPT'], '1')
  })

  it('runs once, and lets the slots begin when it has done', () => {
    const land = new Land()
    land.settle()
    assert.equal(land.open(), 0)
    land.exit(land.steward, { code: 0 })
    land.settle()
    assert.deepEqual(land.begun, [`${land.steward} ${land.service.release} attempt 1`])
    assert.equal(land.said(land.steward), 'done 1')
    assert.equal(land.open(), 2)
    assert.deepEqual(land.local[land.steward], [])
  })

  it('is ended when it takes too long, and has failed then', () => {
    const land = new Land()
    land.settle()
    land.nowMs += 60_000
    land.pass(land.steward)
    assert.deepEqual(land.ended, [`${land.steward} took longer than 1m`])
    land.exit(land.steward, { signal: 'SIGTERM', failure: 'took longer than 1m' })
    land.settle()
    assert.equal(land.said(land.steward), 'failed 1')
    assert.equal(land.begun.length, 1)
  })

  it('is followed to its end by whoever has begun it, when another one becomes steward', () => {
    const land = new Land()
    const first = land.steward
    // It comes later, as a member that joins takes a duty over by its hash.
    land.members[first] = { state: 'dead', sinceMs: 0 }
    const runner = land.steward
    land.settle()
    land.come(first)
    land.settle()
    assert.deepEqual([land.steward, runner === first], [first, false])
    assert.deepEqual(land.ended, [])
    assert.equal(land.open(), 0)
    land.exit(runner, { code: 0 })
    land.settle()
    assert.deepEqual(land.begun, [`${runner} ${land.service.release} attempt 1`])
    assert.equal(land.open(), 2)
  })

  it('is not begun again while the machine that runs it is merely out of sight', () => {
    const land = new Land()
    const first = land.steward
    land.settle()
    land.die(first)
    land.settle()
    const second = land.steward
    assert.match(
      land.words[second]?.['shop/web']?.reason ?? '',
      /began on m\d, which is dead; it counts as cut off/,
    )
    land.nowMs += RESCHEDULE_MS - 1000
    land.settle()
    // It is back in time, and its supervisor has seen the end.
    land.exit(first, { code: 0 })
    land.come(first)
    land.settle()
    assert.deepEqual(land.begun, [`${first} ${land.service.release} attempt 1`])
    assert.equal(land.open(), 2)
  })

  it('runs again with its number when its machine stays away, and what both make of it counts once', () => {
    const land = new Land()
    const first = land.steward
    land.settle()
    land.die(first)
    land.nowMs += RESCHEDULE_MS + 1000
    land.settle()
    const second = land.steward
    const { release } = land.service
    assert.deepEqual(land.begun, [`${first} ${release} attempt 1`, `${second} ${release} attempt 2`])
    // The first is back and had done; the second goes on to its end, and no slot begins beside it.
    land.exit(first, { code: 0 })
    land.come(first)
    land.settle()
    assert.deepEqual(land.ended, [])
    assert.equal(land.open(), 0)
    land.exit(second, { code: 1 })
    land.settle()
    assert.equal(land.begun.length, 2)
    assert.equal(land.open(), 2)
  })

  it('is waited for where the service stays with its machine', () => {
    const land = new Land(web({ onPartition: 'stay' }))
    const first = land.steward
    land.settle()
    land.die(first)
    land.nowMs += 300_000
    land.settle()
    assert.equal(land.begun.length, 1)
    assert.match(land.words[land.steward]?.['shop/web']?.reason ?? '', /on_partition is stay; bring it back/)
  })

  it('begins for a quorum service only where most members are in sight', () => {
    const land = new Land(web({ onPartition: 'quorum' }))
    const [one = '', two = ''] = others(land)
    land.die(one)
    land.die(two)
    land.settle()
    assert.deepEqual(land.begun, [])
    assert.match(
      land.words[land.steward]?.['shop/web']?.reason ?? '',
      /waits until most members are in sight/,
    )
    land.come(one)
    land.settle()
    assert.equal(land.begun.length, 1)
  })

  it('that was cut off with its machine runs again, three times at most', () => {
    const land = new Land()
    const { steward } = land
    for (const attempt of [1, 2, 3]) {
      land.settle()
      assert.equal(land.said(steward), `running ${attempt}`)
      land.exit(steward, {})
    }
    land.settle()
    assert.equal(land.begun.length, 3)
    assert.match(land.words[steward]?.['shop/web']?.reason ?? '', /was cut off 3 times/)
  })

  it('that failed does not run again under the next steward', () => {
    const land = new Land(web({ update: { order: 'start-first', parallelism: 1, failureAction: 'pause' } }))
    const first = land.steward
    land.settle()
    land.exit(first, { code: 3 })
    land.settle()
    land.die(first)
    land.nowMs += 60_000
    land.settle()
    assert.equal(land.begun.length, 1)
    assert.equal(land.words[land.steward]?.['shop/web']?.phase, 'paused')
  })

  it('runs anew when an operator says to go on after a failure', () => {
    const land = new Land(web({ update: { order: 'start-first', parallelism: 1, failureAction: 'pause' } }))
    const { release } = land.service
    land.settle()
    land.exit(land.steward, { code: 3 })
    land.settle()
    land.service = { ...land.service, rollout: { kind: 'resume', release, token: 'one' } }
    land.settle()
    assert.deepEqual(land.begun.at(-1), `${land.steward} ${release} attempt 2`)
    land.exit(land.steward, { code: 0 })
    land.settle()
    assert.equal(land.open(), 2)
  })

  it('is not ended by a pause', () => {
    const land = new Land()
    const { release } = land.service
    land.settle()
    land.service = { ...land.service, rollout: { kind: 'pause', release, token: 'one' } }
    land.settle()
    assert.deepEqual(land.ended, [])
    land.exit(land.steward, { code: 0 })
    land.settle()
    land.service = { ...land.service, rollout: { kind: 'resume', release, token: 'two' } }
    land.settle()
    assert.equal(land.begun.length, 1)
    assert.equal(land.open(), 2)
  })

  it('of the next release begins when that of the one before has ended', () => {
    const land = new Land()
    const before = land.service.release
    land.settle()
    land.service = web({ command: ['serve', 'next'] })
    land.settle()
    assert.deepEqual([land.begun.length, land.ended.length], [1, 0])
    assert.match(
      land.words[land.steward]?.['shop/web']?.reason ?? '',
      new RegExp(`pre_deploy of release ${before} runs`),
    )
    land.exit(land.steward, { code: 0 })
    land.settle()
    assert.deepEqual(land.begun.at(-1), `${land.steward} ${land.service.release} attempt 1`)
  })

  it('does not run again for the release before, which is wanted once more', () => {
    const land = new Land()
    const before = land.service
    for (const next of [before, web({ command: ['serve', 'next'] }), before]) {
      land.service = next
      land.settle()
      if (land.begun.length < 3) land.exit(land.steward, { code: 0 })
      land.settle()
      land.serve()
      land.settle()
    }
    assert.equal(land.begun.length, 2)
  })

  it('is ended when its release is aborted, and when its service is stopped', () => {
    const aborted = new Land()
    aborted.settle()
    const { release } = aborted.service
    const to = '00000000600d' as ReleaseId
    aborted.service = {
      ...web({ command: ['old'] }),
      rejected: { [release]: { reason: 'aborted', at: 1, to } },
    }
    aborted.settle()
    assert.ok(aborted.ended.length > 0)
    const stopped = new Land()
    stopped.settle()
    stopped.service = { ...stopped.service, stopped: true }
    stopped.settle()
    assert.ok(stopped.ended.length > 0)
  })
})
