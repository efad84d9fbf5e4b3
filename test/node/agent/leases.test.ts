import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Files, OpenFile } from '../../../crdt/log/files.ts'
import {
  decodeAnswer,
  decodeVoterRecord,
  encodeAnswer,
  encodeQuestion,
  type LeaseAnswer,
  type LeaseQuestion,
  type VoterSet,
} from '../../../crdt/schema/lease.ts'
import { TuttiError } from '../../../lib/errors.ts'
import type { MemberId } from '../../../lib/ids.ts'
import { silentLog } from '../../../lib/log.ts'
import { seededRandom } from '../../../lib/random.ts'
import type { Clock } from '../../../lib/time.ts'
import { Leases, type LeasesOptions } from '../../../node/agent/leases.ts'
import { LEASE_MS } from '../../../node/plan/lease/terms.ts'
import { fleet, idOf } from '../plan/fleet.ts'
import { until } from '../../support/until.ts'

const SLOT = 'shop/lock/0'
const OAK = idOf('oak')
const [ASH, ELM] = [idOf('ash'), idOf('elm')]
const RUNNER = idOf('run')
/** Of the record in its file: before it is a checksum. */
const RECORD_AT = 16

interface Disk {
  readonly files: Files
  /** The promises on the disk, as a peer that starts now would read them. */
  readonly slots: () => readonly string[]
  /** How the next writes end. */
  fault: Promise<never> | Promise<void>
}

const diskOf = (): Disk => {
  let draft = new Uint8Array()
  let file: Uint8Array | null = null
  const disk: Disk = {
    fault: Promise.resolve(),
    slots: () =>
      (file === null ? null : decodeVoterRecord(file.subarray(RECORD_AT)))?.promises.map(
        ({ slot }) => slot,
      ) ?? [],
    files: {
      where: 'memory',
      list: () => Promise.resolve([]),
      read: () => Promise.resolve(file),
      open: (): Promise<OpenFile> =>
        Promise.resolve({
          write: async (bytes) => {
            await disk.fault
            draft = Uint8Array.from(bytes)
          },
          truncate: () => Promise.resolve(),
          sync: () => Promise.resolve(),
          close: () => Promise.resolve(),
        }),
      rename: () => {
        file = draft
        return Promise.resolve()
      },
      remove: () => Promise.resolve(),
      syncDirectory: () => Promise.resolve(),
    },
  }
  return disk
}

const nobodyThere: LeasesOptions['ask'] = () => {
  throw new TuttiError('unreachable', 'nobody is there')
}

const loaded = (disk: Disk, now: () => number, ask = nobodyThere): Promise<Leases> => {
  const clock: Clock = { now, wall: now, after: () => () => undefined }
  return Leases.load({
    self: OAK,
    clock,
    random: seededRandom('leases'),
    files: disk.files,
    log: silentLog,
    ask,
    changed: () => undefined,
    due: () => undefined,
    renewed: () => undefined,
  })
}

const ask = async (
  leases: Leases,
  from: MemberId,
  words: Partial<LeaseQuestion>,
): Promise<LeaseAnswer | null> => {
  const question = { voters: leases.voters, session: 1, asks: [], releases: [], change: null, ...words }
  for await (const part of leases.answer(from, encodeQuestion(question))) return decodeAnswer(part)
  return null
}

/** A founder's leases in a cluster of one operator and one runner, a lease after its start. */
const founded = async () => {
  const disk = diskOf()
  let nowMs = 0
  const leases = await loaded(disk, () => nowMs)
  await leases.found()
  const { view, membership } = fleet({ self: 'oak', members: { oak: {}, run: {} } })
  const members = view.members.map((one) => (one.id === RUNNER ? { ...one, role: 'runner' as const } : one))
  leases.follow({ ...view, members }, membership)
  nowMs = LEASE_MS
  return { disk, leases, ask: (from: MemberId, words: Partial<LeaseQuestion>) => ask(leases, from, words) }
}

describe('leases of a peer', () => {
  it('say nothing of a promise before it is on the disk (S9)', async () => {
    const { disk, leases, ask } = await founded()
    const write = Promise.withResolvers<void>()
    disk.fault = write.promise
    const told: string[] = []
    const answer = ask(RUNNER, { asks: [{ slot: SLOT, token: 1 }] }).then(() => told.push(...disk.slots()))
    // A second question waits for the first, and so comes after whatever the first would have said.
    const second = ask(RUNNER, { asks: [{ slot: 'shop/lock/1', token: 1 }] })
    assert.deepEqual([disk.slots(), leases.promises(), told], [[], [], []])
    write.resolve()
    await answer
    assert.deepEqual(told.slice(0, 1), [SLOT])
    await second
    assert.deepEqual(disk.slots(), [SLOT, 'shop/lock/1'])
  })

  it('promise nothing that the disk does not take (S9)', async () => {
    const { disk, leases, ask } = await founded()
    const broken = Promise.reject(new Error('no space'))
    broken.catch(() => undefined)
    disk.fault = broken
    await assert.rejects(ask(RUNNER, { asks: [{ slot: SLOT, token: 1 }] }), /takes no promises/)
    assert.deepEqual(leases.promises(), [])
    disk.fault = Promise.resolve()
    const answer = await ask(OAK, { asks: [{ slot: SLOT, token: 1 }] })
    assert.equal(answer?.grants[0]?.refusal, null)
  })

  it('take no word of a runner for who votes', async () => {
    const { leases, ask } = await founded()
    const forged: VoterSet = { epoch: 9, former: null, present: [RUNNER] }
    const answer = await ask(RUNNER, {
      voters: forged,
      asks: [{ slot: SLOT, token: 1 }],
      change: { kind: 'accept', epoch: 0, ballot: { round: 1, by: RUNNER }, voters: forged },
    })
    assert.equal(answer?.grants[0]?.refusal, 'voters')
    assert.deepEqual(leases.voters, { epoch: 0, former: null, present: [OAK] })
    assert.equal(answer.change, null)
  })

  it('begin nothing with an old disk on which this peer votes alone, before others have answered (S9)', async () => {
    const { disk } = await founded()
    let nowMs = 0
    const later: VoterSet = { epoch: 2, former: null, present: [ASH, ELM, OAK] }
    const asked: string[] = []
    const leases = await loaded(
      disk,
      () => nowMs,
      async function* (member) {
        asked.push(member)
        yield encodeAnswer({ voters: later, grants: [], change: null })
      },
    )
    const { view, membership } = fleet({ self: 'oak', members: { ash: {}, elm: {}, oak: {} } })
    const others = membership.members.map((one) =>
      one.id === OAK ? one : { ...one, state: 'dead' as const },
    )
    leases.follow(view, { ...membership, members: others })
    nowMs = LEASE_MS
    leases.want([{ slot: SLOT, above: 0, running: false, stopAheadMs: 0 }])
    assert.deepEqual([asked, leases.promises()], [[], []])
    assert.deepEqual(leases.standings().get(SLOT), {
      kind: 'none',
      reason: 'waits for the lease of its slot: who votes is not known yet',
    })
    const answer = await ask(leases, ASH, { asks: [{ slot: SLOT, token: 1 }] })
    assert.equal(answer?.grants[0]?.refusal, 'fresh', 'it promises nothing to others either')
    leases.follow(view, membership)
    nowMs += 1000
    leases.tick()
    await until(() => leases.voters?.epoch === later.epoch)
    assert.deepEqual([asked.length, leases.promises()], [1, []])
  })

  it('refuse words that are none', async () => {
    const { leases } = await founded()
    await assert.rejects(leases.answer(OAK, new TextEncoder().encode('{}')).next(), /malformed/)
  })
})
