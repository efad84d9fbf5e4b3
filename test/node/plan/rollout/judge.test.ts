import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { slotIdOf, type MemberId, type ReleaseId } from '../../../../lib/ids.ts'
import type { ServiceSpec } from '../../../../crdt/schema/service.ts'
import type { HookStatus } from '../../../../crdt/schema/status.ts'
import type { ServiceView } from '../../../../crdt/schema/view.ts'
import type { SlotEvidence } from '../../../../node/plan/rollout/evidence.ts'
import { judgeRollout, type Judged, type RolloutCase } from '../../../../node/plan/rollout/judge.ts'
import { policyOf } from '../../../../node/plan/rollout/policy.ts'
import { service } from '../fleet.ts'

const GOOD = '00000000600d' as ReleaseId

/**
 * A letter a slot: `-` waits, `s` starts, `r` is ready, `x` has failed, `a` has a member that is away; `l` is ready and its
 * last check failed, `R` is ready and its checks have failed once before.
 */
const slotsOf = (web: ServiceView, letters: string): readonly SlotEvidence[] =>
  letters.split('').map((letter, seat) => ({
    slot: slotIdOf(web.id, seat),
    member: `m${seat}` as MemberId,
    memberName: `m${seat}`,
    attended: letter !== 'a',
    ready: 'rlR'.includes(letter),
    lapsed: letter === 'l',
    lapses: 'lR'.includes(letter) ? 1 : 0,
    begun: letter !== '-' && letter !== 'a',
    restarts: letter === 'x' ? 1 : 0,
    reason: letter === '-' ? 'waits for room' : '',
    fault: (forgiven) => (letter === 'x' && forgiven < 1 ? `slot ${seat} crashed` : null),
    host: 'h',
    ports: {},
  }))

interface Play {
  readonly update?: Partial<ServiceSpec['update']>
  readonly over?: Partial<ServiceView>
  readonly good?: ReleaseId | null
  readonly othersRun?: boolean
  readonly preDeploy?: HookStatus | null
  readonly verify?: HookStatus | null
}

/** A rollout told pass by pass: what the slots look like, and how much later. */
class Rollout {
  last: Judged | null = null
  nowMs = 1000
  readonly #play: Play

  constructor(play: Play = {}) {
    this.#play = play
  }

  /** One pass of a steward; a new one knows nothing of its own. */
  pass(
    letters: string,
    options: {
      readonly afterMs?: number
      readonly anew?: boolean
      readonly over?: Partial<ServiceView>
    } = {},
  ): Judged {
    const { update, over, good = GOOD, othersRun = true, preDeploy = null, verify = null } = this.#play
    this.nowMs += options.afterMs ?? 0
    const web: ServiceView = {
      ...service('shop/web', {
        replicas: letters.length,
        update: { order: 'start-first', parallelism: 1, ...update },
      }),
      ...over,
      ...options.over,
    }
    const given: RolloutCase = {
      service: web,
      policy: policyOf(web, letters.length),
      evidence: slotsOf(web, letters),
      prior: this.last?.word ?? null,
      good: this.last === null ? good : (this.last.word.good as ReleaseId | null),
      othersRun,
      memory: options.anew === true ? undefined : this.last?.memory,
      hooks: { preDeploy: () => preDeploy, verify: () => verify },
      nowMs: this.nowMs,
    }
    this.last = judgeRollout(given)
    return this.last
  }

  say(kind: 'pause' | 'resume' | 'promote', token: string): Partial<ServiceView> {
    const { release } = service('shop/web', {})
    return { rollout: { kind, release, token } }
  }
}

const shown = ({ word: { phase, open, wave } }: Judged): string => `${phase} ${open} in wave ${wave}`

describe('judgeRollout', () => {
  it('lets a first deployment begin everywhere', () => {
    const rollout = new Rollout({ update: { canary: 1 }, othersRun: false, good: null })
    assert.equal(shown(rollout.pass('---')), 'rolling 3 in wave 1')
    assert.equal(shown(rollout.pass('rrr')), 'done 3 in wave 1')
  })

  it('lets a canary begin alone, and the others once it has stayed ready for the window', () => {
    const rollout = new Rollout({ update: { canary: 1, parallelism: 2, monitorMs: 500 } })
    assert.equal(shown(rollout.pass('-----')), 'canary 1 in wave 1')
    assert.equal(shown(rollout.pass('s----', { afterMs: 900 })), 'canary 1 in wave 1')
    const ready = rollout.pass('r----', { afterMs: 100 })
    assert.equal(shown(ready), 'canary 1 in wave 1')
    assert.equal(ready.wakeAtMs, rollout.nowMs + 500)
    assert.equal(shown(rollout.pass('r----', { afterMs: 499 })), 'canary 1 in wave 1')
    assert.equal(shown(rollout.pass('r----', { afterMs: 1 })), 'rolling 3 in wave 2')
    assert.equal(shown(rollout.pass('rrr--', { afterMs: 100 })), 'rolling 3 in wave 2')
    assert.equal(shown(rollout.pass('rrr--', { afterMs: 500 })), 'rolling 5 in wave 3')
    assert.equal(shown(rollout.pass('rrrrr', { afterMs: 500 })), 'rolling 5 in wave 3')
    assert.equal(shown(rollout.pass('rrrrr', { afterMs: 500 })), 'done 5 in wave 3')
  })

  it('begins a window anew when readiness is lost, and when another steward goes on (L5)', () => {
    const rollout = new Rollout({ update: { canary: 1, monitorMs: 500 } })
    rollout.pass('---')
    rollout.pass('r--')
    rollout.pass('s--', { afterMs: 400 })
    assert.equal(shown(rollout.pass('r--', { afterMs: 400 })), 'canary 1 in wave 1')
    assert.equal(shown(rollout.pass('r--', { afterMs: 499, anew: true })), 'canary 1 in wave 1')
    assert.equal(shown(rollout.pass('r--', { afterMs: 499 })), 'canary 1 in wave 1')
    assert.equal(shown(rollout.pass('r--', { afterMs: 1 })), 'rolling 2 in wave 2')
  })

  it('begins a window anew when a check failed in it, though the slot never ceased to be ready (S8)', () => {
    const rollout = new Rollout({ update: { canary: 1, monitorMs: 500 } })
    rollout.pass('---')
    rollout.pass('r--')
    const lapsed = rollout.pass('l--', { afterMs: 499 })
    assert.match(lapsed.waiting ?? '', /waits until the checks of shop\/web\/0 on m0 pass again/)
    assert.equal(shown(rollout.pass('l--', { afterMs: 9000 })), 'canary 1 in wave 1')
    rollout.pass('R--', { afterMs: 1 })
    assert.equal(shown(rollout.pass('R--', { afterMs: 499 })), 'canary 1 in wave 1')
    assert.equal(shown(rollout.pass('R--', { afterMs: 1 })), 'rolling 2 in wave 2')
    // Over before anybody heard of it.
    const unseen = new Rollout({ update: { canary: 1, monitorMs: 500 } })
    unseen.pass('---')
    unseen.pass('r--')
    assert.equal(shown(unseen.pass('R--', { afterMs: 500 })), 'canary 1 in wave 1')
    assert.equal(shown(unseen.pass('R--', { afterMs: 500 })), 'rolling 2 in wave 2')
  })

  it('ends what is never well for a whole window (L5)', () => {
    const rollout = new Rollout({ update: { canary: 1, monitorMs: 500, progressDeadlineMs: 5000 } })
    rollout.pass('---')
    rollout.pass('r--')
    // The deadline, and one window besides.
    for (let ms = 600; ms < 5500; ms += 600) {
      assert.equal(rollout.pass('l--', { afterMs: 300 }).word.phase, 'canary')
      assert.equal(rollout.pass('R--', { afterMs: 300 }).word.phase, 'canary')
    }
    const { word } = rollout.pass('l--', { afterMs: 300 })
    assert.match(word.reason, /^no progress for 5s: waits until the checks/)
  })

  it('holds no check that fails against a canary that waits for its operator', () => {
    const manual = { canary: 1, promote: 'manual', progressDeadlineMs: 1000 } as const
    const rollout = new Rollout({ update: manual })
    rollout.pass('---')
    rollout.pass('r--')
    assert.equal(rollout.pass('l--', { afterMs: 1e6 }).word.phase, 'canary')
    assert.match(rollout.pass('R--', { afterMs: 10 }).waiting ?? '', /waits? for tutti rollout promote/)
  })

  it('takes a release back that fails, and opens nothing for it any more (S8)', () => {
    const rollout = new Rollout({ update: { canary: 1 } })
    rollout.pass('---')
    const judged = rollout.pass('x--')
    assert.equal(shown(judged), 'failed 1 in wave 1')
    assert.deepEqual(judged.duty, {
      kind: 'revert',
      service: 'shop/web',
      release: judged.word.release,
      to: GOOD,
      reason: 'slot 0 crashed',
    })
    const next = rollout.pass('r--', { afterMs: 60_000, anew: true })
    assert.equal(shown(next), 'failed 1 in wave 1')
    assert.equal(next.duty?.kind, 'revert')
  })

  it('judges until the last window is over, and not after', () => {
    const rollout = new Rollout({ update: { monitorMs: 500 } })
    rollout.pass('--')
    rollout.pass('r-')
    rollout.pass('r-', { afterMs: 500 })
    rollout.pass('rr')
    assert.equal(rollout.pass('rx', { afterMs: 400 }).word.phase, 'failed')
    const good = new Rollout({ update: { monitorMs: 500 } })
    good.pass('r')
    assert.equal(good.pass('r', { afterMs: 500 }).word.phase, 'done')
    assert.equal(good.pass('x', { afterMs: 1 }).word.phase, 'done')
  })

  it('stops where it is with failure_action pause, until an operator says resume', () => {
    const rollout = new Rollout({ update: { canary: 1, failureAction: 'pause' } })
    rollout.pass('---')
    const paused = rollout.pass('x--')
    assert.equal(paused.word.phase, 'paused')
    assert.match(paused.word.reason, /^failed: slot 0 crashed/)
    assert.equal(paused.duty, null)
    assert.equal(rollout.pass('x--', { afterMs: 1e6 }).word.phase, 'paused')
    const resumed = rollout.say('resume', 'one')
    assert.equal(rollout.pass('x--', { over: resumed }).word.phase, 'canary')
    assert.equal(rollout.pass('r--', { over: resumed, afterMs: 10 }).word.phase, 'rolling')
  })

  it('heeds each word of an operator once', () => {
    const rollout = new Rollout({ update: { canary: 1, monitorMs: 500 } })
    rollout.pass('---')
    const paused = rollout.say('pause', 'one')
    assert.equal(rollout.pass('r--', { over: paused }).word.phase, 'paused')
    assert.equal(rollout.pass('r--', { over: paused, afterMs: 9000 }).word.phase, 'paused')
    const resumed = rollout.say('resume', 'two')
    assert.equal(rollout.pass('r--', { over: resumed }).word.phase, 'canary')
    const promoted = rollout.say('promote', 'three')
    assert.equal(shown(rollout.pass('r--', { over: promoted })), 'rolling 1 in wave 1')
    assert.equal(shown(rollout.pass('r--', { over: promoted, afterMs: 500 })), 'rolling 2 in wave 2')
  })

  it('waits for an operator where promotion is manual, for as long as it takes', () => {
    const rollout = new Rollout({ update: { canary: 1, promote: 'manual', progressDeadlineMs: 1000 } })
    rollout.pass('---')
    const waits = rollout.pass('r--')
    assert.match(waits.waiting ?? '', /waits? for tutti rollout promote shop\/web/)
    assert.equal(rollout.pass('r--', { afterMs: 1e6 }).word.phase, 'canary')
    assert.equal(rollout.pass('r--', { over: rollout.say('promote', 'one') }).word.open, 2)
  })

  it('ends what makes no progress, with what it waited for (L5)', () => {
    const rollout = new Rollout({ update: { canary: 1, progressDeadlineMs: 5000 } })
    assert.equal(rollout.pass('---').wakeAtMs, 6000)
    assert.equal(rollout.pass('---', { afterMs: 4999 }).word.phase, 'canary')
    const judged = rollout.pass('---', { afterMs: 1 })
    assert.equal(judged.word.phase, 'failed')
    assert.equal(
      judged.word.reason,
      'no progress for 5s: waits until shop/web/0 on m0 is ready: waits for room',
    )
  })

  it('waits for a canary whose member is away, and not for later slots', () => {
    const rollout = new Rollout({ update: { canary: 1 } })
    assert.equal(rollout.pass('a--').word.phase, 'canary')
    assert.match(rollout.pass('a--').word.reason, /m0 is not there/)
    rollout.pass('r--')
    assert.equal(shown(rollout.pass('ra-', { afterMs: 1 })), 'rolling 3 in wave 3')
  })

  it('lets a release that is gone back to begin everywhere, whatever fails', () => {
    const release = service('shop/web', {}).release
    const rejected = { bad000000000: { reason: 'it crashed', at: 1, to: release } }
    const rollout = new Rollout({ update: { canary: 1, monitorMs: 9000 }, over: { rejected } })
    assert.equal(shown(rollout.pass('---')), 'rolling 3 in wave 1')
    assert.equal(rollout.pass('rx-').duty, null)
    assert.equal(rollout.pass('rrr').word.phase, 'done')
  })

  it('goes on with a first release that fails, and says so at the deadline', () => {
    const rollout = new Rollout({
      update: { canary: 1, progressDeadlineMs: 5000 },
      othersRun: false,
      good: null,
    })
    assert.equal(rollout.pass('xx').word.phase, 'rolling')
    const judged = rollout.pass('xx', { afterMs: 5000 })
    assert.equal(judged.word.phase, 'failed')
    assert.match(judged.word.reason, /there is no earlier release to go back to$/)
    assert.equal(judged.duty, null)
    assert.equal(rollout.pass('rr', { afterMs: 5000 }).word.phase, 'done')
  })

  it('opens no slot before the hook has done, and none when it fails', () => {
    const over = { preDeploy: { command: ['migrate'], timeoutMs: 1000 } }
    const running = new Rollout({ over, preDeploy: { state: 'running', reason: 'runs' } })
    assert.equal(shown(running.pass('---')), 'preparing 0 in wave 1')
    const failing = new Rollout({ over, preDeploy: { state: 'failed', reason: 'exited with 3' } })
    assert.equal(shown(failing.pass('---')), 'failed 0 in wave 1')
    assert.equal(failing.last?.word.reason, 'exited with 3')
    const first = new Rollout({
      over,
      preDeploy: { state: 'failed', reason: 'no' },
      good: null,
      othersRun: false,
    })
    assert.equal(shown(first.pass('---')), 'failed 0 in wave 1')
    assert.equal(shown(first.pass('---', { afterMs: 1e6 })), 'failed 0 in wave 1')
    const done = new Rollout({ over })
    assert.equal(shown(done.pass('---')), 'rolling 1 in wave 1')
  })

  it('goes no further with a release that fails its verification', () => {
    const over = { verify: { command: ['smoke'], timeoutMs: 1000 } }
    const failing = new Rollout({ over, verify: { state: 'failed', reason: 'verify exited with 9' } })
    assert.equal(shown(failing.pass('---')), 'canary 1 in wave 1')
    assert.equal(shown(failing.pass('r--')), 'failed 1 in wave 1')
    const passing = new Rollout({ over })
    passing.pass('---')
    assert.equal(passing.pass('r--').word.verified, true)
  })

  it('switches a blue-green service as a whole', () => {
    const rollout = new Rollout({ update: { parallelism: 0, promote: 'manual' } })
    assert.equal(shown(rollout.pass('---')), 'canary 3 in wave 1')
    assert.equal(shown(rollout.pass('rr-')), 'canary 3 in wave 1')
    assert.match(rollout.pass('rrr').waiting ?? '', /promote/)
    const promoted = rollout.say('promote', 'one')
    assert.equal(shown(rollout.pass('rrs', { over: promoted })), 'canary 3 in wave 1')
    assert.equal(shown(rollout.pass('rrr', { over: promoted })), 'rolling 3 in wave 2')
    assert.equal(shown(rollout.pass('rrr', { over: promoted })), 'done 3 in wave 2')
  })

  it('never takes a slot back, and opens none after a failure, whatever it sees (S8)', () => {
    const letters = fc.array(fc.constantFrom('-', 's', 'r', 'r', 'x', 'a'), { minLength: 4, maxLength: 4 })
    const passes = fc.array(fc.record({ letters, afterMs: fc.nat(3000), anew: fc.boolean() }), {
      maxLength: 30,
    })
    const update = fc.record({
      canary: fc.nat(3),
      monitorMs: fc.nat(2000),
      parallelism: fc.nat(3),
      failureAction: fc.constantFrom('rollback' as const, 'pause' as const),
    })
    fc.assert(
      fc.property(update, passes, (policy, list) => {
        const rollout = new Rollout({ update: policy })
        let open = 0
        let over = false
        for (const { letters: seen, afterMs, anew } of list) {
          const { word } = rollout.pass(seen.join(''), { afterMs, anew })
          assert.ok(word.open >= open)
          if (over) assert.equal(word.open, open)
          open = word.open
          over = word.phase === 'failed' || word.phase === 'paused' || word.phase === 'done'
        }
      }),
    )
  })
})
