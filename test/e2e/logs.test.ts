// Output as its readers meet it: followed over a move, a release and the death of peers, evidence of a crash after the
// replacement, filters that are exact, and a full disk that costs output and nothing else.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { LogReply } from '../../node/serve/api/contract-streams.ts'
import {
  applyOf,
  Fleet,
  freePort,
  idle,
  killStrays,
  ready,
  service,
  until,
  withFleet,
  type Peer,
} from './support/fleet.ts'
import { TUTTI } from './support/peer.ts'
import { mountSmallDisk, smallDiskMissing } from './support/small-disk.ts'

const noSmallDisk = await smallDiskMissing()

/** `tutti logs … --json` as a user runs it, until `stop`. */
const follower = (peer: Peer, ...args: readonly string[]) => {
  const all = ['logs', '--json', '-f', ...args, '--peer', peer.socket]
  const child = spawn(TUTTI, all, { stdio: ['ignore', 'pipe', 'pipe'] })
  const told: LogReply[] = []
  let rest = ''
  let stderr = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (part: string) => {
    const parts = (rest + part).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) told.push(JSON.parse(line))
  })
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
  const gone = new Promise<void>((done) => child.once('close', () => done()))
  return {
    texts: (): readonly string[] => told.filter(({ stream }) => stream !== 'notice').map(({ text }) => text),
    has: (wanted: string | RegExp, timeoutMs?: number): Promise<true> =>
      until(
        `${String(wanted)} is told`,
        () => {
          if (told.some(({ text }) => text === wanted || (wanted instanceof RegExp && wanted.test(text))))
            return true
          throw new Error(`${stderr}${told.at(-1)?.text ?? ''}`)
        },
        timeoutMs,
      ),
    stop: async (): Promise<void> => {
      child.kill('SIGINT')
      await gone
    },
  }
}

/** Says where it runs and which release it is, every tenth of a second a number, from 1. */
const ticking = (release: string, sleep = '0.1'): readonly string[] => [
  'sh',
  '-c',
  `echo "${release} begins on $TUTTI_PEER"; N=1; while :; do echo "${release} $TUTTI_PEER $N"; N=$((N + 1)); sleep ${sleep}; done`,
]

const numbersOf = (texts: readonly string[], prefix: string): readonly number[] =>
  texts.filter((text) => text.startsWith(prefix)).map((text) => Number(text.slice(prefix.length)))

const countedFrom = (first: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, at) => first + at)

const logsOf = async (peer: Peer, ...args: readonly string[]): Promise<readonly LogReply[]> => {
  const { code, stdout, stderr } = await peer.cli('logs', '--json', ...args)
  assert.equal(code, 0, stderr)
  const lines: readonly LogReply[] = JSON.parse(stdout)
  return lines.filter(({ stream }) => stream !== 'notice')
}

describe('logs of a cluster', () => {
  let fleet: Fleet
  let a: Peer
  let b: Peer
  before(async () => {
    fleet = await Fleet.create()
    const listen = [await freePort(), await freePort()]
    const [first, second] = await fleet.grow(2, (at) => ({
      name: `p${at}`,
      listen: `/ip4/127.0.0.1/tcp/${listen[at] ?? 0}`,
    }))
    assert.ok(first !== undefined && second !== undefined)
    a = first
    b = second
  })
  after(() => fleet.close())

  it('are followed over a release, and a move to another peer', async () => {
    const walk = (release: string) => service('walk', ticking(release), { stopGraceMs: 500 })
    await a.change(applyOf(walk('one')))
    const [instance] = await ready(a, 'walk', 1)
    const from = instance?.peer === 'p0' ? a : b
    const to = from === a ? b : a
    const log = follower(to, '-n', '1000', 'e2e/walk')
    await log.has(`one begins on ${from.name}`)
    await a.change(applyOf(walk('two')))
    await log.has(new RegExp(`^two p\\d 3$`))
    await a.change({ kind: 'cordon', peer: from.name }, { kind: 'drain', peer: from.name })
    await log.has(`two begins on ${to.name}`)
    await log.has(`two ${to.name} 3`)
    await log.stop()
    const texts = log.texts()
    assert.equal(new Set(texts).size, texts.length, 'no line is told twice')
    for (const start of [`one ${from.name} `, `two ${to.name} `]) {
      const numbers = numbersOf(texts, start)
      assert.deepEqual(numbers, countedFrom(1, numbers.length))
    }
    await a.change({ kind: 'uncordon', peer: from.name }, { kind: 'remove', service: 'e2e/walk' })
  })

  it('keep the evidence of a crash after its replacement, through a loop of crashes', async () => {
    const looping = service('loop', ['sh', '-c', 'printf "it broke here" >&2; sleep 0.1; exit 3'], {
      restart: { condition: 'any', delayMs: 100, delayMaxMs: 200, attemptsMax: null, windowMs: 10_000 },
    })
    await a.change(applyOf(looping))
    await until('three crashes', async () => (await logsOf(a, 'e2e/loop')).length >= 3)
    await a.change(applyOf(service('loop', ['sh', '-c', 'echo mended; exec sleep 100000'])))
    await ready(a, 'loop', 1)
    await until('both releases are told', async () => {
      const texts = (await logsOf(b, 'e2e/loop')).map(({ text }) => text)
      // No run continues the line that the one before it left without an end.
      for (const text of texts) assert.ok(['mended', 'it broke here'].includes(text), text)
      return texts.includes('mended') && texts.length >= 4
    })
    const { stdout } = await b.cli('logs', '--stream', 'stdout', 'e2e')
    assert.match(stdout, /^e2e\/loop\/0 p\d \| mended$/m)
    assert.doesNotMatch(stdout, /it broke here/)
    await a.change({ kind: 'remove', service: 'e2e/loop' })
  })

  it('are exact about -n, --since, --until and --grep', async () => {
    await a.change(applyOf(service('exact', ticking('tick', '0.2'))))
    const log = follower(a, 'e2e/exact')
    await log.has(/^tick p\d 8$/)
    await log.stop()
    const all = (await logsOf(a, '-n', '8', '--until', new Date().toISOString(), 'e2e/exact')).slice(0, 6)
    const [second, fourth] = [all[1], all[3]]
    assert.ok(second !== undefined && fourth !== undefined)
    const [since, until] = [second, fourth].map(({ at }) => new Date(at).toISOString())
    assert.ok(since !== undefined && until !== undefined)
    const within = await logsOf(b, '--since', since, '--until', until, 'e2e/exact')
    assert.deepEqual(within, all.slice(1, 4))
    assert.deepEqual(await logsOf(b, '-n', '2', '--until', until, 'e2e/exact'), all.slice(2, 4))
    const [grepped] = await logsOf(b, '-n', '1', '--until', until, '--grep', second.text, 'e2e/exact')
    assert.deepEqual(grepped, second)
    await a.change({ kind: 'remove', service: 'e2e/exact' })
  })

  it('lose no line and tell none twice when the peer is killed amid them, also to those who follow', async () => {
    const script = `
      let n = 0
      const burst = () => { let text = ''; for (let at = 0; at < 40; at += 1) text += 'n ' + (n += 1) + '\\n'; process.stdout.write(text) }
      setInterval(burst, 10)
    `
    await a.change(
      applyOf(service('burst', [process.execPath, '-e', script], { rescheduleAfterMs: 120_000 })),
    )
    const [instance] = await ready(a, 'burst', 1)
    const killed = instance?.peer === 'p0' ? a : b
    const other = killed === a ? b : a
    const fromOther = follower(other, '-n', '100000', 'e2e/burst')
    const fromItself = follower(killed, '-n', '100000', 'e2e/burst')
    await Promise.all([fromOther.has('n 2000'), fromItself.has('n 2000')])
    await killed.end('SIGKILL')
    await killed.up()
    const [same] = await ready(killed, 'burst', 1)
    assert.equal(same?.pid, instance?.pid, 'the instance was adopted')
    const last = (texts: readonly string[]): number => numbersOf(texts, 'n ').at(-1) ?? 0
    const goal = last(fromItself.texts()) + 4000
    for (const one of [fromOther, fromItself]) {
      await until('it goes on', () => last(one.texts()) >= goal)
      await one.stop()
      const numbers = numbersOf(one.texts(), 'n ')
      assert.deepEqual(numbers, countedFrom(1, numbers.length))
    }
    const kept = numbersOf(
      (await logsOf(other, '-n', '5000', 'e2e/burst')).map(({ text }) => text),
      'n ',
    )
    assert.equal(kept.length, 5000)
    assert.deepEqual(kept, countedFrom(kept[0] ?? 0, kept.length))
    await a.change({ kind: 'remove', service: 'e2e/burst' })
  })
})

describe('a full disk', { skip: noSmallDisk ?? false }, () => {
  it('costs a program its output and nothing else, and is over when there is room again', () =>
    withFleet(async (fleet) => {
      const disk = await mountSmallDisk(join(fleet.directory, 'disk'), 16 * 1024 * 1024)
      try {
        const peer = fleet.peer({ name: 'solo', data: join(disk.path, 'data') })
        await peer.up()
        // On another disk: how the program says that its write failed.
        const told = join(fleet.directory, 'failed')
        const program = `
          const { writeFileSync, writeSync } = require('node:fs')
          let failed = 0, n = 0
          setInterval(() => {
            try { writeSync(1, 'n ' + (n += 1) + ' after ' + failed + ' failures ' + 'x'.repeat(4000) + '\\n') } catch (error) { if (error.code === 'ENOSPC') { failed += 1; writeFileSync(process.argv[1], '') } }
          }, 20)
        `
        await peer.change(applyOf(service('full', [process.execPath, '-e', program, told]), idle('calm')))
        await ready(peer, 'full', 1)
        await disk.fill()
        await until('the program is told so', () => existsSync(told))
        assert.equal((await ready(peer, 'calm', 1)).length, 1)
        await disk.free()
        await until('output goes on', async () =>
          (await logsOf(peer, '-n', '1', 'e2e/full')).some(({ text }) =>
            / after [1-9]\d* failures /.test(text),
          ),
        )
        assert.equal((await ready(peer, 'calm', 1)).length, 1)
        await peer.end('SIGKILL')
        killStrays(disk.path)
      } finally {
        await disk.close()
      }
    }))
})
