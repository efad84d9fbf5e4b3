// A peer's journal: what a simulated peer in trouble noted is decided again alike, a decision that was tampered with is
// named, and the ring keeps within its bounds.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell, scale } from '../../crdt/edits.ts'
import { serviceIdOf } from '../../lib/ids.ts'
import { Journal, type JournalEntry } from '../../node/agent/journal.ts'
import { journalLines, readJournal } from '../../node/agent/journal-text.ts'
import { makePlan } from '../../node/plan/make-plan.ts'
import type { PlanInput } from '../../node/plan/plan.ts'
import { replayJournal, tellReplay } from '../../simulations/journal.ts'
import { CELL, specOf } from '../../simulations/services.ts'
import { agentOf, World } from '../../simulations/world.ts'

/** Journals of peers that lived through edits, a death, a split and a drain of instances. */
const troubled = async (): Promise<readonly (readonly string[])[]> => {
  const world = new World({ seed: 'journal' })
  const machines = await world.cluster(5)
  const [first, second, third] = machines
  assert.ok(first !== undefined && second !== undefined && third !== undefined)
  const services = ['api', 'web'].map((name) => ({
    ...specOf(world.random, name, 'ready=200ms unwell=4s..9s'),
    constraints: [],
    mode: 'replicated' as const,
    replicas: 4,
  }))
  const { edits } = applyCell(agentOf(first).view(), { name: CELL, services })
  await world.finish(agentOf(first).edit(edits, { message: 'apply', at: 0 }))
  await world.run(12_000)
  second.powerOff()
  await world.run(15_000)
  world.network.cut(first.signer.member, third.signer.member)
  const more = scale(agentOf(first).view(), serviceIdOf(CELL, 'web'), 7)
  await world.finish(agentOf(first).edit(more, { message: 'scale', at: 0 }))
  await world.run(10_000)
  world.network.heal()
  await world.finish(second.start())
  await world.run(20_000)
  return machines.map((machine) => agentOf(machine).journal())
}

const input = (nowMs: number): PlanInput => ({
  self: 'self' as PlanInput['self'],
  view: {
    cluster: 'c' as PlanInput['view']['cluster'],
    members: [],
    removed: [],
    invites: [],
    services: [],
    digest: `${nowMs}` as PlanInput['view']['digest'],
  },
  statuses: new Map(),
  membership: { members: [], brakedUntilMs: null },
  local: [],
  nowMs,
  unreadySinceMs: new Map(),
})

const entry = (nowMs: number): JournalEntry => {
  const what = input(nowMs)
  return { input: what, plan: makePlan(what), wall: nowMs }
}

const HEAD = { version: 'test', placementVersionMax: 1, self: 'self' as PlanInput['self'], at: 0 }

describe('a journal', () => {
  it('of a peer in trouble is decided again alike, byte by byte (S5)', async () => {
    for (const lines of await troubled()) {
      const { passes, acting, differences } = replayJournal(lines.join('\n'))
      assert.deepEqual(differences, [])
      assert.ok(passes > 20 && acting > 0, `${passes} passes, ${acting} with actions`)
    }
  })

  it('that says of a decision what it was not is told with the part that differs', async () => {
    const [lines = []] = await troubled()
    const tampered = lines.map((line) => line.replace('"kind":"start"', '"kind":"stop"'))
    const replayed = replayJournal(tampered.join('\n'))
    assert.ok(replayed.differences.length > 0)
    assert.ok(replayed.differences.every(({ part }) => part === 'actions'))
    assert.match(tellReplay(replayed).join('\n'), /decides otherwise: actions\n {2}recorded: .*"kind":"stop"/)
  })

  it('is read back as it was, also where numbers are infinite and maps are empty', () => {
    const entries = [entry(1.5), entry(2.25)]
    const odd = { ...entries[0]?.input, nowMs: Number.POSITIVE_INFINITY } as PlanInput
    const list = [...entries, { ...entry(3), input: odd }]
    assert.deepEqual(readJournal(journalLines(HEAD, list)).entries, list)
  })

  it('refuses what is no journal with a sentence', () => {
    assert.throws(() => readJournal(['{"format":"tutti journal 9"}']), { code: 'invalid' })
    assert.throws(() => readJournal(['rubbish']), {
      code: 'invalid',
      message: /line 1 of the journal is no JSON/,
    })
    const [head = '', , second = ''] = journalLines(HEAD, [entry(1), entry(1)])
    assert.throws(() => readJournal([head, second]), {
      code: 'invalid',
      message: /line 2 of the journal lacks/,
    })
  })

  it('keeps a thousand passes, and fewer where they hold much (S14)', () => {
    const journal = new Journal()
    for (let at = 0; at < 1500; at += 1) journal.note(entry(at))
    assert.equal(journal.entries().length, 1000)
    assert.equal(journal.entries()[0]?.input.nowMs, 500)
    const small = new Journal(2000)
    for (let at = 0; at < 100; at += 1) small.note(entry(at))
    assert.ok(small.entries().length < 5)
    assert.equal(small.entries().at(-1)?.input.nowMs, 99)
  })
})
