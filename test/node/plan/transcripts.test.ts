// Transcripts: situations and the plans they lead to, as text that people review. Rewritten by TUTTI_UPDATE_TRANSCRIPTS=1.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Action } from '../../../node/plan/action.ts'
import { checkPlan } from '../../../node/plan/check-plan.ts'
import { makePlan } from '../../../node/plan/make-plan.ts'
import type { PlanInput } from '../../../node/plan/plan.ts'
import { place } from '../../../node/plan/placement.ts'
import { fleet, holding, idOf, instance, releaseOf, service, type FleetOptions } from './fleet.ts'

const folder = join(import.meta.dirname, '../../transcripts/plan')
const ports = { http: 0 }
const web = service('shop/web', { ports, replicas: 1 })
const lively = service('shop/web', {
  ports,
  liveness: {
    kind: 'http',
    path: '/live',
    intervalMs: 5000,
    timeoutMs: 1000,
    retries: 3,
    startPeriodMs: 0,
  },
})
const next = service('shop/web', { ports, replicas: 1, restartToken: 'next' })
const old = releaseOf({ ports })
const alone = { members: { oak: {} }, services: [web] }
const unready = { okInARow: 0, failedInARow: 0, everOk: false, lastFailure: '' }
const exit = { code: 7, signal: null, atMs: 99_900 }
/** Of two members the one that owns `shop/web/0`, and the other. */
const owner = place(fleet({ members: { elm: {}, oak: {} }, services: [web] })).get(
  instance(web, 0).slot,
)?.member
const [here, there] = owner === idOf('oak') ? ['oak', 'elm'] : ['elm', 'oak']
const dependent = service('shop/web', { dependsOn: { db: 'healthy' } })
const stoppedDb = service('shop/db', { stopped: true })
const pair = { members: { [there]: {}, [here]: {} }, services: [web] }

const stories: Readonly<Record<string, readonly (readonly [string, FleetOptions])[]>> = {
  rollout: [
    ['a slot without an instance', alone],
    ['the release has changed', { ...alone, services: [next], local: [instance(web, 0)] }],
    [
      'the new release is not ready yet',
      {
        ...alone,
        services: [next],
        local: [instance(web, 0), instance(next, 0, { probe: unready, startedAtMs: 99_000 })],
      },
    ],
    [
      'the new release is ready',
      { ...alone, services: [next], local: [instance(web, 0), instance(next, 0)] },
    ],
    [
      'the old release drains',
      {
        ...alone,
        services: [next],
        local: [instance(web, 0, { draining: true, drainingSinceMs: 99_500 }), instance(next, 0)],
      },
    ],
    [
      'it has drained',
      {
        ...alone,
        services: [next],
        local: [instance(web, 0, { draining: true, drainingSinceMs: 99_000 }), instance(next, 0)],
      },
    ],
    [
      'it has ended',
      { ...alone, services: [next], local: [instance(web, 0, { phase: 'exited', exit }), instance(next, 0)] },
    ],
    ['done', { ...alone, services: [next], local: [instance(next, 0)] }],
    [
      'a slot after it waits for its turn',
      {
        members: { oak: {} },
        services: [service('shop/web', { ports, replicas: 2, restartToken: 'next' })],
        local: [instance(web, 0), instance(web, 1)],
      },
    ],
    [
      'stop-first: the old release makes way',
      {
        members: { oak: {} },
        services: [
          service('shop/web', {
            ports,
            restartToken: 'next',
            update: { order: 'stop-first', parallelism: 1 },
          }),
        ],
        local: [instance(web, 0)],
      },
    ],
  ],
  moves: [
    [
      'the slot is ours now, the other still serves',
      { ...pair, self: here, holds: { [there]: holding(web, [0]) } },
    ],
    ['the slot is the other’s now, which has not begun', { ...pair, self: there, local: [instance(web, 0)] }],
    [
      'the other has it ready',
      { ...pair, self: there, local: [instance(web, 0)], holds: { [here]: holding(web, [0], { claim: 1 }) } },
    ],
    [
      'the other has it ready, but has yet to hear of our claim',
      {
        ...pair,
        self: there,
        local: [instance(web, 0)],
        holds: { [here]: holding(web, [0]), [there]: holding(web, [0], { claim: 1 }) },
      },
    ],
    [
      'the other has it ready, and our run of it with a higher claim has crashed',
      {
        ...pair,
        self: there,
        local: [
          instance(web, 0, {
            phase: 'exited',
            exit: { code: 1, signal: null, atMs: 99_900 },
            failuresInARow: 3,
          }),
        ],
        holds: {
          [here]: holding(web, [0]),
          [there]: holding(web, [0], { claim: 1, state: 'crashed' }),
        },
      },
    ],
    [
      'the slot is ours, and the other serves it with a higher claim',
      {
        ...pair,
        self: here,
        local: [instance(web, 0)],
        holds: { [there]: holding(web, [0], { claim: 1 }) },
      },
    ],
    [
      'the slot is ours again while our run of it drains',
      {
        ...pair,
        self: here,
        local: [instance(web, 0, { draining: true, drainingSinceMs: 99_500 })],
        holds: { [there]: holding(web, [0], { claim: 1 }) },
      },
    ],
    [
      'the other is dead, for less than the reschedule delay',
      {
        ...pair,
        self: there,
        members: { [there]: {}, [here]: { state: 'dead', sinceMs: 98_000 } },
        holds: { [here]: holding(web, [0]) },
      },
    ],
    [
      'the other is dead, for longer',
      {
        ...pair,
        self: there,
        members: { [there]: {}, [here]: { state: 'dead', sinceMs: 95_000 } },
        holds: { [here]: holding(web, [0]) },
      },
    ],
    [
      'the other is dead, and this peer is braked',
      {
        ...pair,
        self: there,
        members: { [there]: {}, [here]: { state: 'dead', sinceMs: 90_000 } },
        holds: { [here]: holding(web, [0]) },
        brakedUntilMs: 103_000,
      },
    ],
    [
      'the only member drains',
      { members: { oak: { draining: true } }, services: [web], local: [instance(web, 0)] },
    ],
    ['the service is removed', { members: { oak: {} }, local: [instance(web, 0)] }],
    [
      'this peer has not said its capacity yet',
      { members: { oak: { facts: false } }, services: [web], local: [instance(web, 0)] },
    ],
  ],
  trouble: [
    [
      'an instance has crashed',
      {
        ...alone,
        local: [instance(web, 0, { phase: 'exited', exit, failuresInARow: 1, startedAtMs: 95_000 })],
      },
    ],
    [
      'an instance has crashed after a stable run',
      {
        ...alone,
        local: [instance(web, 0, { phase: 'exited', exit, failuresInARow: 1, startedAtMs: 89_000 })],
      },
    ],
    [
      'its backoff is over',
      {
        ...alone,
        local: [
          instance(web, 0, {
            phase: 'exited',
            exit: { ...exit, atMs: 99_000 },
            failuresInARow: 1,
            startedAtMs: 95_000,
          }),
        ],
      },
    ],
    [
      'it is in a crash loop',
      { ...alone, local: [instance(web, 0, { phase: 'exited', exit, failuresInARow: 6, runs: 6 })] },
    ],
    [
      'it cannot be spawned',
      {
        ...alone,
        local: [instance(web, 0, { phase: 'broken', error: 'serve: not found', startedAtMs: 99_900 })],
      },
    ],
    [
      'it fails its checks',
      {
        ...alone,
        local: [
          instance(web, 0, {
            probe: { okInARow: 0, failedInARow: 3, everOk: true, lastFailure: 'connect ECONNREFUSED' },
          }),
        ],
      },
    ],
    [
      'its program is missing, so that trying again mends nothing',
      {
        ...alone,
        local: [
          instance(web, 0, { phase: 'broken', error: 'serve: not found', refused: true, startedAtMs: 0 }),
        ],
      },
    ],
    [
      'it fails its checks for longer than it may, and stays',
      {
        ...alone,
        local: [
          instance(web, 0, {
            probe: { okInARow: 0, failedInARow: 90, everOk: true, lastFailure: 'connect ECONNREFUSED' },
          }),
        ],
        unreadySinceMs: new Map([[instance(web, 0).id, 60_000]]),
      },
    ],
    [
      'its liveness fails',
      {
        ...alone,
        services: [lively],
        local: [
          instance(lively, 0, {
            liveness: { okInARow: 0, failedInARow: 3, everOk: true, lastFailure: 'GET /live: timed out' },
          }),
        ],
      },
    ],
    [
      'it was ended for its liveness, whatever it ended with',
      {
        ...alone,
        services: [lively],
        local: [
          instance(lively, 0, {
            phase: 'exited',
            exit: { code: 0, signal: null, atMs: 99_900, failure: 'liveness failed 3 times in a row' },
            failuresInARow: 1,
            startedAtMs: 95_000,
          }),
        ],
      },
    ],
    ['it waits for what it depends on', { members: { oak: {} }, services: [dependent, stoppedDb] }],
    [
      'it waits for what it depends on, longer than it should',
      {
        members: { oak: {} },
        services: [dependent, stoppedDb],
        unreadySinceMs: new Map([[instance(dependent, 0).id, 80_000]]),
      },
    ],
    [
      'nobody can hold it',
      { members: { oak: {} }, services: [service('shop/web', { constraints: ['node.labels.gpu == yes'] })] },
    ],
  ],
}

const letters = (text: string): string =>
  text
    .replaceAll(old, 'OLD')
    .replaceAll(next.release, 'NEW')
    .replaceAll(/@[0-9a-f]{12}/g, '@REL')

const given = (input: PlanInput): string[] => [
  ...input.view.members.map((member) => {
    const state = input.membership.members.find(({ id }) => id === member.id)?.state ?? ''
    const held = [...(input.statuses.get(member.id)?.instances.entries() ?? [])]
    const shows = held.map(([id, { state, claim }]) => ` ${id}=${state}${claimText(claim)}`).join('')
    return `  member ${member.name} ${state}${member.id === input.self ? ' (self)' : ''}${member.draining ? ' draining' : ''}${shows}`
  }),
  ...input.view.services.map(
    (one) => `  service ${one.id} x${one.replicas} @${one.release} ${one.update.order}`,
  ),
  ...input.local.map((one) => `  local ${one.id} ${one.phase}${one.draining ? ' draining' : ''}`),
]

const actionText = (action: Action): string => `  ${action.kind} ${action.instance}: ${action.reason}`

const claimText = (claim: number | undefined): string => (claim === undefined ? '' : ` claim ${claim}`)

const render = (title: string, input: PlanInput): string => {
  const plan = makePlan(input)
  assert.deepEqual(checkPlan(input, plan), [])
  const wake = plan.wakeAtMs === null ? [] : [`  wake after ${Math.ceil(plan.wakeAtMs - input.nowMs)}ms`]
  return letters(
    [
      `# ${title}`,
      'given',
      ...given(input),
      'plan',
      ...plan.actions.map(actionText),
      ...plan.reports.map(
        (one) =>
          `  report ${one.instance} ${one.state}${claimText(one.claim)}${one.reason === '' ? '' : `: ${one.reason}`}`,
      ),
      ...plan.unfulfilled.map((one) => `  unfulfilled ${one.slot}: ${one.reason}`),
      ...plan.waiting.map((one) => `  waiting ${one}`),
      ...wake,
      '',
    ].join('\n'),
  )
}

describe('transcripts of plans', () => {
  for (const [name, steps] of Object.entries(stories)) {
    it(`reads as reviewed: ${name}`, () => {
      const text = steps
        .map(([title, options]) => render(title, fleet({ unreadySinceMs: new Map(), ...options })))
        .join('\n')
      const file = join(folder, `${name}.txt`)
      if (process.env['TUTTI_UPDATE_TRANSCRIPTS'] === '1') writeFileSync(file, text)
      assert.equal(text, readFileSync(file, 'utf8'))
    })
  }
})
