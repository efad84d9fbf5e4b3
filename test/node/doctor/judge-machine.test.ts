// The judgement of a machine's facts as tables: what is found, and what the level is.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DiskFacts, LimitFacts, PortFacts } from '../../../node/doctor/facts.ts'
import type { Finding } from '../../../node/doctor/finding.ts'
import { judgeDisk, judgeLog } from '../../../node/doctor/judge-disk.ts'
import {
  judgeClock,
  judgeLimits,
  judgePeer,
  judgePorts,
  judgeTools,
} from '../../../node/doctor/judge-machine.ts'

const limits: LimitFacts = {
  filesMax: 1_048_576,
  processesMax: null,
  pidMax: 4_194_304,
  cgroupPidsMax: null,
  filesOpen: 30,
  machineFiles: { open: 1000, max: 1_000_000 },
  root: false,
}

const disk: DiskFacts = {
  directory: '/var/lib/tutti',
  exists: true,
  filesystem: 'ext4',
  freeBytes: 2 ** 33,
  totalBytes: 2 ** 36,
  freeInodes: 1_000_000,
  totalInodes: 2_000_000,
  syncMs: { median: 1.5, max: 4 },
  failure: null,
  mode: 0o40700,
  foreignOwner: false,
  exposed: [],
}

const ports: PortFacts = {
  ephemeral: { first: 32_768, last: 60_999 },
  reserved: [],
  allocated: { first: 20_000, last: 31_999 },
  listening: [{ what: 'peers', address: '10.0.0.1:7701', port: 7701, failure: null }],
  wanted: [],
}

/** What is not ok, as `level: found`. */
const troubles = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ level }) => level !== 'ok').map(({ level, found }) => `${level}: ${found}`)

/** The only trouble is of that level and says so; it comes with advice. */
const one = (findings: readonly Finding[], level: string, words: RegExp): void => {
  const bad = findings.filter((finding) => finding.level !== 'ok')
  assert.equal(bad.length, 1, troubles(findings).join('; '))
  assert.equal(bad[0]?.level, level)
  assert.match(bad[0]?.found ?? '', words)
  assert.notEqual(bad[0]?.advice, '')
}

describe('limits', () => {
  it('are well where nothing is near a bound', () => {
    assert.deepEqual(troubles(judgeLimits(limits)), [])
    assert.deepEqual(
      troubles(judgeLimits({ ...limits, filesMax: null, filesOpen: null, machineFiles: null })),
      [],
    )
  })

  for (const [name, facts, level, words] of [
    ['few files', { filesMax: 1024 }, 'warn', /1024 files/],
    ['hardly any files', { filesMax: 256 }, 'fail', /256 files/],
    ['files three quarters used', { filesMax: 10_000, filesOpen: 7500 }, 'warn', /7500 of 10000/],
    ['files used up', { filesMax: 10_000, filesOpen: 9500 }, 'fail', /9500 of 10000/],
    ['few processes', { processesMax: 500 }, 'warn', /at most 500 .*nproc/],
    ['a cgroup of few processes', { cgroupPidsMax: 100, root: true }, 'fail', /at most 100 .*pids\.max/],
    ['few process ids', { pidMax: 4096 }, 'warn', /4096 process ids/],
    ['a machine without files', { machineFiles: { open: 95, max: 100 } }, 'fail', /whole machine has 95/],
  ] as const) {
    it(`names ${name}`, () => one(judgeLimits({ ...limits, ...facts }), level, words))
  }

  it('of processes do not bind root', () => {
    assert.deepEqual(troubles(judgeLimits({ ...limits, processesMax: 10, root: true })), [])
  })
})

describe('the clock', () => {
  it('is well when kept, and when nobody can tell', () => {
    assert.deepEqual(troubles(judgeClock({ synchronised: true, source: 'chrony', steppedMs: 20 })), [])
    assert.deepEqual(troubles(judgeClock({ synchronised: null, source: '', steppedMs: null })), [])
  })
  it('warns when nobody keeps it', () => {
    one(judgeClock({ synchronised: false, source: 'timedatectl', steppedMs: 0 }), 'warn', /not synchronised/)
  })
  it('warns of a wall clock that was set, with the direction', () => {
    one(judgeClock({ synchronised: true, source: 'x', steppedMs: 90_000 }), 'warn', /1m30s ahead of/)
    one(judgeClock({ synchronised: true, source: 'x', steppedMs: -5000 }), 'warn', /5s behind/)
  })
})

describe('the disk', () => {
  it('is well with room, speed and a lock', () => {
    assert.deepEqual(troubles(judgeDisk(disk)), [])
    assert.deepEqual(troubles(judgeDisk({ ...disk, exists: false, mode: null, syncMs: null })), [])
    assert.deepEqual(troubles(judgeDisk({ ...disk, freeInodes: 0, totalInodes: 0 })), [])
  })

  for (const [name, facts, level, words] of [
    ['little room', { freeBytes: 100 * 2 ** 20 }, 'warn', /100M of 64G free/],
    ['no room', { freeBytes: 2 ** 20 }, 'fail', /1M of 64G free/],
    ['few inodes', { freeInodes: 500 }, 'warn', /500 of 2000000 inodes/],
    ['memory', { filesystem: 'tmpfs' }, 'warn', /lies in memory/],
    ["a container's layer", { filesystem: 'overlay' }, 'warn', /container's own layer/],
    ['a network', { filesystem: 'nfs' }, 'warn', /depend on the server/],
    ['a slow disk', { syncMs: { median: 80, max: 300 } }, 'warn', /80 ms .*300 ms/],
    ['a dying disk', { syncMs: { median: 2000, max: 9000 } }, 'fail', /2000 ms/],
    ['a disk that refuses', { syncMs: null, failure: 'EROFS: read-only file system' }, 'fail', /read-only/],
    ['open permissions', { mode: 0o40755 }, 'warn', /open to others \(0755\)/],
    ['an open key', { mode: 0o40755, exposed: ['identity.key'] }, 'fail', /identity\.key/],
    ["another user's directory", { foreignOwner: true }, 'fail', /another user/],
  ] as const) {
    it(`names ${name}`, () => one(judgeDisk({ ...disk, ...facts }), level, words))
  }

  it('says which stretch of the log is damaged', () => {
    const log = { files: 1, records: 40, bytes: 9000, damage: [], skippedBytes: 0 }
    assert.deepEqual(troubles(judgeLog(log)), [])
    one(
      judgeLog({ ...log, damage: ['log-00000001: bytes 12 to 90 are corrupt'] }),
      'warn',
      /12 to 90 are corrupt/,
    )
  })
})

describe('ports', () => {
  it('are well where they are reached and out of the way', () => {
    assert.deepEqual(troubles(judgePorts(ports)), [])
    assert.deepEqual(troubles(judgePorts({ ...ports, ephemeral: null })), [])
  })
  it('fail where this very machine cannot reach its peer', () => {
    const listening = [
      { what: 'peers' as const, address: '10.0.0.1:7701', port: 7701, failure: 'ECONNREFUSED' },
    ]
    one(judgePorts({ ...ports, listening }), 'fail', /10\.0\.0\.1:7701 .*ECONNREFUSED/)
  })
  it('warn of a wanted port that is taken', () => {
    one(
      judgePorts({ ...ports, listening: [], wanted: [{ port: 7701, failure: 'EADDRINUSE' }] }),
      'warn',
      /7701/,
    )
  })
  it('warn where the kernel hands out the same numbers, unless they are reserved', () => {
    const ephemeral = { first: 30_000, last: 60_999 }
    one(judgePorts({ ...ports, ephemeral }), 'warn', /30000 to 60999 .* 20000-31999/)
    assert.deepEqual(
      troubles(judgePorts({ ...ports, ephemeral, reserved: [{ first: 20_000, last: 31_999 }] })),
      [],
    )
  })
  it('warn of a port within the ephemeral range', () => {
    const listening = [{ what: 'API' as const, address: '127.0.0.1:40000', port: 40_000, failure: null }]
    one(judgePorts({ ...ports, listening }), 'warn', /40000 \(API\)/)
  })
})

describe('programs', () => {
  const tool = { name: 'flock', required: true, found: false, use: 'it locks' }
  it('fail where one is needed and warn where one is missed', () => {
    one(judgeTools([tool]), 'fail', /flock is missing/)
    one(judgeTools([{ ...tool, required: false }]), 'warn', /flock is missing/)
    assert.deepEqual(troubles(judgeTools([{ ...tool, found: true }])), [])
  })
})

describe('the peer itself', () => {
  const peer = {
    others: 2,
    syncedAgoMs: 900,
    upMs: 60_000,
    recordsQuarantined: 0,
    storeFailures: 0,
    braked: false,
  }
  it('is well when it compares notes', () => {
    assert.deepEqual(troubles(judgePeer(peer)), [])
    assert.deepEqual(troubles(judgePeer({ ...peer, others: 0, syncedAgoMs: null })), [])
    assert.deepEqual(troubles(judgePeer({ ...peer, syncedAgoMs: null, upMs: 500 })), [])
  })
  it('names silence, refused records, failed writes and the brake', () => {
    one(judgePeer({ ...peer, syncedAgoMs: 30_000 }), 'warn', /30s ago/)
    one(judgePeer({ ...peer, syncedAgoMs: 600_000 }), 'fail', /10m ago/)
    one(judgePeer({ ...peer, syncedAgoMs: null, upMs: 600_000 }), 'fail', /not compared/)
    one(judgePeer({ ...peer, recordsQuarantined: 3 }), 'warn', /3 records/)
    one(judgePeer({ ...peer, storeFailures: 2 }), 'warn', /2 writes failed/)
    one(judgePeer({ ...peer, braked: true }), 'warn', /takes nothing over/)
  })
})
