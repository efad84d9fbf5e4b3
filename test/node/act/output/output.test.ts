// Output on real files, written to as programs do.

import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { instanceIdOf, serviceIdOf, slotIdOf, type InstanceId, type ReleaseId } from '../../../../lib/ids.ts'
import {
  dropOldOutput,
  findLogFiles,
  logFileOf,
  stampsPathOf,
} from '../../../../node/act/output/log-files.ts'
import { OutputStore } from '../../../../node/act/output/output.ts'
import { readStamps, replaceStamps } from '../../../../node/act/output/stamps.ts'
import { silentLog } from '../../../../lib/log.ts'
import type { LogLine, LogLive, LogQuery } from '../../../../node/ports.ts'
import { keepingLog } from '../support/bed.ts'
import { systemClock } from '../../../../node/clock.ts'
import { until } from '../../../support/until.ts'

const service = serviceIdOf('shop', 'web')
const idOf = (seat: number, release = 'aaaa00000000'): InstanceId =>
  instanceIdOf(slotIdOf(service, seat), release as ReleaseId)

let folder: string
let store: OutputStore
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tutti-output-'))
  store = new OutputStore({ folder, peer: 'a', clock: systemClock, log: silentLog })
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

const never = new AbortController().signal

const textOf = (item: LogLine | LogLive | undefined): string =>
  item !== undefined && 'text' in item ? item.text : ''

const collect = async (query: Partial<LogQuery> = {}): Promise<LogLine[]> => {
  const lines: LogLine[] = []
  for await (const line of store.read({ of: service, ...query }, never)) if ('text' in line) lines.push(line)
  return lines
}
const texts = async (query: Partial<LogQuery> = {}): Promise<string[]> =>
  (await collect(query)).map((line) => line.text)

/** Writes lines with times of their own, as a peer's stamps would have them. */
const write = (
  instance: InstanceId,
  stream: 'stdout' | 'stderr',
  lines: readonly [number, string][],
): void => {
  store.begin(instance)
  store.end(instance)
  const { path } = logFileOf(folder, instance, stream)
  writeFileSync(path, '')
  const stamps = [{ end: 0, at: 0 }]
  for (const [at, text] of lines) {
    appendFileSync(path, text)
    stamps.push({ end: statSync(path).size, at })
  }
  replaceStamps(stampsPathOf(path), stamps)
}

describe('output › read', () => {
  it('merges streams and slots by time and names their source', async () => {
    write(idOf(0), 'stdout', [
      [10, 'one\n'],
      [30, 'three\n'],
    ])
    write(idOf(0), 'stderr', [[40, 'four\n']])
    write(idOf(1), 'stdout', [[20, 'two\n']])
    const lines = await collect()
    assert.deepEqual(
      lines.map((line) => [line.at, line.text, line.stream, line.slot]),
      [
        [10, 'one', 'stdout', 'shop/web/0'],
        [20, 'two', 'stdout', 'shop/web/1'],
        [30, 'three', 'stdout', 'shop/web/0'],
        [40, 'four', 'stderr', 'shop/web/0'],
      ],
    )
    assert.equal(lines[0]?.instance, idOf(0))
    assert.deepEqual(await texts({ of: slotIdOf(service, 1) }), ['two'])
  })

  it('knows nothing of services whose name merely begins alike', async () => {
    write(idOf(0), 'stdout', [[10, 'one\n']])
    assert.deepEqual(findLogFiles(folder, serviceIdOf('shop', 'we')), [])
  })

  it('reads the last lines only, across files', async () => {
    write(idOf(0), 'stdout', [
      [10, 'a\nb\n'],
      [30, 'd\n'],
    ])
    write(idOf(1), 'stdout', [
      [20, 'c\n'],
      [40, 'e'],
    ])
    assert.deepEqual(await texts({ tail: 3 }), ['c', 'd', 'e'])
    assert.deepEqual(await texts({ tail: 0 }), [])
    assert.deepEqual(await store.lastLines(idOf(0), 2), ['b', 'd'])
  })

  it('takes a hundred lines by default, and all of them with a since', async () => {
    write(idOf(0), 'stdout', [[10, Array.from({ length: 300 }, (_, at) => `line ${at}\n`).join('')]])
    assert.equal((await texts()).length, 100)
    assert.equal((await texts({ since: 5 })).length, 300)
  })

  it('begins with the first whole line since a time', async () => {
    write(idOf(0), 'stdout', [
      [10, 'old\nacross'],
      [20, ' the stamp\nnew\n'],
      [30, 'newer\n'],
    ])
    assert.deepEqual(await texts({ since: 15 }), ['new', 'newer'])
    assert.deepEqual(await texts({ since: 25 }), ['newer'])
    assert.deepEqual(await texts({ since: 99 }), [])
    assert.deepEqual(await texts({ until: 15 }), ['old', 'across the stamp'])
    assert.deepEqual(await texts({ until: 25, tail: 1 }), ['new'])
    assert.deepEqual(await texts({ until: 25, since: 15 }), ['new'])
    assert.deepEqual(await texts({ grep: 'new', tail: 5 }), ['new', 'newer'])
    assert.deepEqual(await texts({ stream: 'stderr' }), [])
    assert.deepEqual(await texts({ of: 'shop', tail: 1 }), ['newer'])
  })

  it('cuts lines without end and survives bytes that are no text', async () => {
    write(idOf(0), 'stdout', [[10, `${'x'.repeat(150_000)}\nshort\n`]])
    appendFileSync(logFileOf(folder, idOf(0), 'stdout').path, Buffer.from([0xff, 0xfe, 0x0a]))
    assert.deepEqual(
      (await texts()).map((text) => text.length),
      [65_536, 65_536, 18_928, 5, 2],
    )
  })

  it('finds the last lines of a large file without the rest of it', async () => {
    const line = 'a line of some forty bytes of content, yes\n'
    write(idOf(0), 'stdout', [
      [10, line.repeat(100_000)],
      [20, 'last\n'],
    ])
    assert.deepEqual(await texts({ tail: 2 }), [line.trimEnd(), 'last'])
  })
})

describe('output › follow', () => {
  const follower = (query: Partial<LogQuery> = {}) => {
    const stop = new AbortController()
    const seen: string[] = []
    const done = (async () => {
      for await (const line of store.read({ of: service, follow: true, ...query }, stop.signal))
        if ('text' in line) seen.push(line.text)
    })()
    const has = async (expected: readonly string[]): Promise<void> => {
      await until(() => seen.length >= expected.length)
      assert.deepEqual(seen, expected)
    }
    return {
      has,
      stop: async () => {
        stop.abort()
        await done
      },
    }
  }

  it('tells what comes, also from instances that start later, and ends with the signal', async () => {
    const { stdout } = store.begin(idOf(0))
    appendFileSync(stdout, 'before\n')
    const { has, stop } = follower()
    await has(['before'])
    appendFileSync(stdout, 'after\n')
    await has(['before', 'after'])
    const later = store.begin(idOf(1))
    appendFileSync(later.stderr, 'later\n')
    await has(['before', 'after', 'later'])
    await stop()
  })

  it('waits for the end of a line while its program lives, and not longer', async () => {
    const { stdout } = store.begin(idOf(0))
    const { has, stop } = follower()
    appendFileSync(stdout, 'first\nhal')
    await has(['first'])
    appendFileSync(stdout, 'f\nrest')
    await has(['first', 'half'])
    store.end(idOf(0))
    await has(['first', 'half', 'rest'])
    await stop()
  })

  it('goes on after the file was emptied', async () => {
    const { stdout } = store.begin(idOf(0))
    appendFileSync(stdout, 'a long first line\n')
    const { has, stop } = follower()
    await has(['a long first line'])
    truncateSync(stdout, 0)
    appendFileSync(stdout, 'new\n')
    await has(['a long first line', 'new'])
    await stop()
  })

  it('ends at once when the signal was there before', async () => {
    store.begin(idOf(0))
    const { stop } = follower()
    await stop()
  })
})

describe('output › stamps and bounds', () => {
  it('gives what was written while nobody watched the time of its last write', async () => {
    const { stdout } = store.begin(idOf(0))
    appendFileSync(stdout, 'seen\n')
    await store.close()
    appendFileSync(stdout, 'unseen\n')
    utimesSync(stdout, 1000, 1000)
    store = new OutputStore({ folder, peer: 'a', clock: systemClock, log: silentLog })
    store.begin(idOf(0))
    const lines = await collect()
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['seen', 'unseen'],
    )
    assert.equal(lines[1]?.at, 1_000_000)
  })

  it('keeps a chatty program within its bound, and the newest lines', async () => {
    await store.close()
    const bounds = { keepBytes: 64 * 1024, contentBytesMax: 128 * 1024 }
    store = new OutputStore({ folder, peer: 'a', clock: systemClock, log: silentLog, bounds })
    const { stdout } = store.begin(idOf(0))
    appendFileSync(stdout, Array.from({ length: 20_000 }, (_, at) => `line ${at} of many\n`).join(''))
    // Either the start was punched out, or the whole was dropped where the file system cannot.
    await until(() => (readStamps(stampsPathOf(stdout))[0]?.end ?? 0) > 0 || statSync(stdout).size === 0)
    // The floor rises before the hole is made.
    await until(() => statSync(stdout).blocks * 512 <= bounds.contentBytesMax)
    if (statSync(stdout).size === 0) return
    const all = await texts({ tail: 1_000_000 })
    assert.ok(all.length > 2000 && all.length < 5000)
    assert.ok(all.every((text) => /^line \d+ of many$/.test(text)))
    assert.equal(all.at(-1), 'line 19999 of many')
  })

  it('says that it cannot record, once, and tells the lines all the same', async () => {
    await store.close()
    const log = keepingLog()
    store = new OutputStore({ folder, peer: 'a', clock: systemClock, log })
    const { path } = logFileOf(folder, idOf(0), 'stdout')
    // What cannot be written to, as on a full disk.
    mkdirSync(stampsPathOf(path), { recursive: true })
    store.begin(idOf(0))
    for (const text of ['one', 'two']) {
      appendFileSync(path, `${text}\n`)
      assert.equal((await texts()).at(-1), text)
    }
    assert.deepEqual(
      log.lines.map(([level, message]) => [level, /cannot be recorded/.test(message)]),
      [['error', true]],
    )
    rmSync(stampsPathOf(path), { recursive: true })
    assert.deepEqual(await texts(), ['one', 'two'])
    assert.ok(readStamps(stampsPathOf(path)).length > 0)
  })

  it('ends the last line of a run, so that the next one begins its own', async () => {
    for (const text of ['cut off', 'again']) {
      const { stdout } = store.begin(idOf(0), { isRunning: false })
      appendFileSync(stdout, text)
      store.end(idOf(0))
    }
    assert.deepEqual(await texts(), ['cut off', 'again'])
    // A run that ended while no peer was there to see it.
    appendFileSync(logFileOf(folder, idOf(0), 'stdout').path, 'unseen')
    const { stdout } = store.begin(idOf(0), { isRunning: false })
    appendFileSync(stdout, 'seen\n')
    assert.deepEqual(await texts(), ['cut off', 'again', 'unseen', 'seen'])
  })

  it('shows at once what a program writes whose files its launch has made, and watches them soon', async () => {
    const { stdout } = store.begin(idOf(0), { isRunning: false })
    assert.equal(existsSync(stdout), false)
    appendFileSync(stdout, 'first\n')
    store.begin(idOf(0), { isRunning: true })
    assert.deepEqual(await texts(), ['first'])
    const { stdout: other } = store.begin(idOf(1), { isRunning: false })
    appendFileSync(other, 'second\n')
    store.begin(idOf(1), { isRunning: true })
    await until(() => readStamps(stampsPathOf(other)).length > 0)
    store.end(idOf(1))
    assert.deepEqual(await texts(), ['first', 'second'])
  })

  it('says how much a follower missed that was outrun', async () => {
    await store.close()
    const bounds = { keepBytes: 64 * 1024, contentBytesMax: 128 * 1024 }
    store = new OutputStore({ folder, peer: 'a', clock: systemClock, log: silentLog, bounds })
    const { stdout } = store.begin(idOf(0))
    appendFileSync(stdout, 'first\n')
    const stop = new AbortController()
    const reading = store.read({ of: service, follow: true }, stop.signal)
    assert.equal(textOf((await reading.next()).value), 'first')
    assert.deepEqual((await reading.next()).value, { live: true })
    appendFileSync(stdout, Array.from({ length: 40_000 }, (_, at) => `line ${at} of many\n`).join(''))
    await until(() => (readStamps(stampsPathOf(stdout))[0]?.end ?? 0) > 0 || statSync(stdout).size === 0)
    assert.match(textOf((await reading.next()).value), /^\d+ bytes of stdout were dropped before/)
    assert.match(textOf((await reading.next()).value), /^line \d+ of many$/)
    stop.abort()
    await reading.return(undefined)
  })

  it('keeps output of gone instances within a bound in bytes, the longest gone dropped first (S14)', () => {
    for (const seat of [0, 1, 2]) {
      write(idOf(seat), 'stdout', [[1, 'x'.repeat(100_000)]])
      const { path } = logFileOf(folder, idOf(seat), 'stdout')
      for (const file of [path, stampsPathOf(path)]) utimesSync(file, 2000 - seat, 2000 - seat)
      rmSync(logFileOf(folder, idOf(seat), 'stderr').path)
    }
    dropOldOutput(folder, new Set(), 2_000_000, 250_000)
    assert.deepEqual(
      findLogFiles(folder, 'shop').map(({ instance }) => instance),
      [idOf(0), idOf(1)],
    )
  })

  it('keeps the last gone instances of a slot and those alive', () => {
    const releases = Array.from({ length: 8 }, (_, at) => `release${at}0000`)
    for (const [at, release] of releases.entries()) {
      write(idOf(0, release), 'stdout', [[1, 'x\n']])
      for (const stream of ['stdout', 'stderr'] as const) {
        const { path } = logFileOf(folder, idOf(0, release), stream)
        // A stream that nothing was written to has no stamps.
        for (const file of [path, stampsPathOf(path)])
          if (existsSync(file)) utimesSync(file, 1000 + at, 1000 + at)
      }
    }
    const kept = (): string[] =>
      releases.filter((release) => existsSync(logFileOf(folder, idOf(0, release), 'stdout').path))
    dropOldOutput(folder, new Set([idOf(0, releases[0])]), 1_010_000)
    assert.deepEqual(kept(), [releases[0], ...releases.slice(3)])
    dropOldOutput(folder, new Set(), 1_010_000 + 8 * 86_400_000)
    assert.deepEqual(kept(), [])
  })
})
