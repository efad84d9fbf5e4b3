import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Json } from '../../../lib/order.ts'
import { earlierWord, unfulfilledBefore } from '../../../node/agent/earlier-word.ts'
import { Reporter } from '../../../node/agent/reporter.ts'
import type { InstanceReport, Plan } from '../../../node/plan/plan.ts'
import { sealStatus } from '../../../crdt/status-record.ts'
import { canonicalJson } from '../../../lib/order.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import { fleet, instance, service } from '../plan/fleet.ts'

const web = service('shop/web')
const { id, slot } = instance(web, 0)
const WALL = 1_000_000

const planOf = (report: Partial<InstanceReport>): Plan => ({
  actions: [],
  reports: [{ instance: id, slot, state: 'starting', restarts: 0, reason: '', ...report }],
  unfulfilled: [],
  waiting: [],
  awaitsReports: false,
  wakeAtMs: null,
})

/** What is said of the instance after each of the plans, ten seconds apart. */
const said = (plans: readonly Plan[], unfulfilledBefore?: ReadonlyMap<string, number>): readonly Json[] => {
  const words: Json[] = []
  let nowMs = 0
  const reporter = new Reporter({
    wall: () => WALL + nowMs,
    say: (key, value) => {
      if (key === `instance/${id}`) words.push(value)
    },
    flush: () => undefined,
    ...(unfulfilledBefore === undefined ? {} : { unfulfilledBefore }),
  })
  for (const plan of plans) {
    nowMs += 10_000
    reporter.report(fleet({ self: 'oak', members: { oak: {} }, services: [web], nowMs }), plan, true, [])
  }
  return words
}

const sinceOf = (word: Json | undefined): unknown =>
  typeof word === 'object' && word !== null && 'unfulfilledSince' in word ? word['unfulfilledSince'] : null

describe('reporter', () => {
  it('says since when a slot is overdue, once and not in every pass, and no more once it is not', () => {
    const overdue = planOf({ unfulfilledSinceMs: 4000 })
    const words = said([overdue, overdue, planOf({ state: 'ready' })])
    assert.deepEqual(words.map(sinceOf), [WALL + 4000, null])
  })

  it('goes on with what it said before it was restarted, until the slot was as desired once', () => {
    const overdue = planOf({ unfulfilledSinceMs: 4000 })
    const words = said([planOf({}), overdue, planOf({ state: 'ready' }), overdue], new Map([[id, 7]]))
    assert.deepEqual(words.map(sinceOf), [null, 7, null, WALL + 4000])
  })

  it('says the token of a run once, in a key of its own, and takes it back with the instance', () => {
    const words: (readonly [string, Json])[] = []
    const reporter = new Reporter({
      wall: () => WALL,
      say: (key, value) => {
        if (key.startsWith('fence/')) words.push([key, value])
      },
      flush: () => undefined,
    })
    const here = { ...instance(web, 0), fence: 7 }
    const scene = fleet({ self: 'oak', members: { oak: {} }, services: [web], nowMs: 0 })
    reporter.report({ ...scene, local: [here] }, planOf({}), true, [])
    reporter.report({ ...scene, local: [here] }, planOf({ state: 'ready' }), true, [])
    reporter.report({ ...scene, local: [{ ...here, fence: 8 }] }, planOf({}), true, [])
    reporter.report(scene, { ...planOf({}), reports: [] }, true, [])
    assert.deepEqual(words, [
      [`fence/${id}`, { token: 7 }],
      [`fence/${id}`, { token: 8 }],
      [`fence/${id}`, null],
    ])
  })

  it('says of failing checks what changes, at once when they begin, and takes it back', () => {
    const words: [string, Json][] = []
    let urgent = 0
    const reporter = new Reporter({
      wall: () => WALL,
      say: (key, value) => {
        if (key.startsWith('doubt/')) words.push([key, value])
      },
      flush: () => (urgent += 1),
    })
    const scene = fleet({ self: 'oak', members: { oak: {} }, services: [web], nowMs: 0 })
    reporter.report(scene, planOf({ state: 'ready' }), true, [])
    urgent = 0
    for (const doubt of [
      { lapses: 1, lapsed: true },
      { lapses: 1, lapsed: true },
      { lapses: 1 },
      {},
    ] as const)
      reporter.report(scene, planOf({ state: 'ready', ...doubt }), true, [])
    assert.deepEqual(words, [
      [`doubt/${id}`, { lapses: 1, now: true }],
      [`doubt/${id}`, { lapses: 1, now: false }],
      [`doubt/${id}`, null],
    ])
    assert.equal(urgent, 1)
  })

  it('says how the last run ended and what it wrote', () => {
    const exit = { code: 7, signal: null, atMs: 0 }
    const [word] = said([planOf({ state: 'crashed', exit, output: ['no database'] })])
    assert.ok(typeof word === 'object' && word !== null && 'exit' in word && 'output' in word)
    assert.deepEqual([word['exit'], word['output']], [{ code: 7, signal: null, at: WALL }, ['no database']])
  })

  it('says when the last run ended with the same time in every pass, also while the next one is ready', () => {
    const exit = { code: 7, signal: null, atMs: 0.7 }
    const plans = [1, 2, 3].map((restarts) => planOf({ state: 'ready', restarts, exit }))
    const ends = said(plans).map((word) =>
      typeof word === 'object' && word !== null && 'exit' in word ? word['exit'] : null,
    )
    assert.deepEqual(
      ends,
      [1, 2, 3].map(() => ({ code: 7, signal: null, at: WALL })),
    )
  })
})

describe('unfulfilledBefore', () => {
  const signer = signerFromSeed(new Uint8Array(32).fill(1))
  const other = signerFromSeed(new Uint8Array(32).fill(2))
  const record = (by: typeof signer, incarnation: number, seq: number, since: number | null): Uint8Array =>
    sealStatus(by, {
      incarnation,
      seq,
      retained: [],
      entries: [
        { key: `instance/${id}`, value: since === null ? null : canonicalJson({ unfulfilledSince: since }) },
      ],
    })

  it('takes the last word of the last incarnation of this member, in whatever order it is read', () => {
    const records = [
      record(signer, 2, 2, 9),
      record(signer, 2, 1, 8),
      record(signer, 1, 5, 7),
      record(other, 9, 9, 1),
    ]
    assert.deepEqual([...unfulfilledBefore(earlierWord(signer.member, records))], [[id, 9]])
    assert.deepEqual(
      [...unfulfilledBefore(earlierWord(signer.member, [...records, record(signer, 2, 3, null)]))],
      [],
    )
  })

  it('knows nothing of a first start, and of what cannot be read', () => {
    assert.equal(unfulfilledBefore(earlierWord(signer.member, [new Uint8Array([1, 2, 3])])).size, 0)
  })
})
