// Commands of an exec as real processes: bounds, output at the reader's pace, and what is ended when.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe, it } from 'node:test'
import { tmpdir } from 'node:os'
import { TuttiError } from '../../../../lib/errors.ts'
import type { InstanceId } from '../../../../lib/ids.ts'
import type { Entrance, ExecInput, ExecOutput, ExecRequest } from '../../../../node/ports.ts'
import { Execs } from '../../../../node/act/exec/exec.ts'
import { findMarked, MARK } from '../../../../node/act/exec/marks.ts'
import { systemClock } from '../../../../node/clock.ts'

const PATH = process.env['PATH'] ?? ''
let made = 0

const world = (entrance: Partial<Entrance> = {}) => {
  const id = `peer-${process.pid}-${(made += 1)}`
  const enter = (): Entrance => ({
    prefix: [],
    environment: { PATH, A: 'instance' },
    directory: tmpdir(),
    ownFiles: false,
    ...entrance,
  })
  let marks = 0
  const execs = new Execs({
    driver: { enter },
    peer: { id, name: 'oak' },
    clock: systemClock,
    mintMark: () => String((marks += 1)),
  })
  return { id, execs, left: () => findMarked((mark) => mark.startsWith(`${id}.`)) }
}

const request = (command: readonly string[], more: Partial<ExecRequest> = {}): ExecRequest => ({
  instance: 'shop/web/0@r' as InstanceId,
  command,
  environment: {},
  workingDir: null,
  terminal: null,
  ...more,
})

async function* says(...words: readonly ExecInput[]): AsyncGenerator<ExecInput> {
  yield* words
}
const END: ExecInput = { kind: 'end' }
const never = (): AbortSignal => new AbortController().signal

const heardOf = async (outputs: AsyncIterable<ExecOutput>) => {
  const heard = { stdout: '', stderr: '', end: null as ExecOutput | null }
  for await (const output of outputs) {
    if (output.kind === 'stdout' || output.kind === 'stderr')
      heard[output.kind] += Buffer.from(output.bytes).toString()
    else heard.end = output
  }
  return heard
}

describe('exec', () => {
  it('gives the instance’s environment, and what the caller adds', async () => {
    const { execs } = world()
    const more = { environment: { B: 'caller' } }
    const heard = await heardOf(
      execs.run(request(['sh', '-c', 'echo $A $B; echo no >&2'], more), says(END), never()),
    )
    assert.deepEqual(heard, {
      stdout: 'instance caller\n',
      stderr: 'no\n',
      end: { kind: 'exit', code: 0, signal: null },
    })
  })

  it('puts the entrance’s words before the command', async () => {
    const { execs } = world({ prefix: ['/usr/bin/env', 'A=entered'] })
    const heard = await heardOf(execs.run(request(['sh', '-c', 'echo $A']), says(END), never()))
    assert.equal(heard.stdout, 'entered\n')
    const inside = world({ prefix: ['/usr/bin/env'], ownFiles: true, directory: '/' })
    assert.equal((await heardOf(inside.execs.run(request(['pwd']), says(END), never()))).stdout, '/\n')
  })

  it('loses nothing to a reader that is slower than the command, with and without a terminal', async () => {
    const { execs } = world()
    for (const terminal of [null, { columns: 80, rows: 24 }]) {
      let bytes = 0
      let tail = ''
      const command = request(['sh', '-c', 'seq 1 100000; echo LAST'], { terminal })
      for await (const output of execs.run(command, says(), never())) {
        if (output.kind !== 'stdout') continue
        bytes += output.bytes.length
        tail = (tail + Buffer.from(output.bytes).toString()).slice(-20)
        await new Promise((next) => setImmediate(next))
      }
      const lineEnd = terminal === null ? '\n' : '\r\n'
      assert.equal(bytes, 588_895 + 100_000 * (lineEnd.length - 1) + `LAST${lineEnd}`.length)
      assert.ok(tail.endsWith(`LAST${lineEnd}`))
    }
  })

  it('refuses one too many, and takes another when one has ended (S14)', async () => {
    const { execs, left } = world()
    const stop = new AbortController()
    const running = Array.from({ length: 16 }, () =>
      execs.run(request(['sleep', '1000']), says(), stop.signal).next(),
    )
    await assert.rejects(execs.run(request(['true']), says(), never()).next(), { code: 'busy' })
    stop.abort()
    await Promise.all(running)
    assert.deepEqual(left(), [])
    assert.equal((await heardOf(execs.run(request(['true']), says(END), never()))).end?.kind, 'exit')
  })

  it('ends what a crash left of it, and nothing else (S10)', async () => {
    const { execs, id, left } = world()
    const options = { detached: true, stdio: 'ignore' } as const
    const own = spawn('sleep', ['1000'], { ...options, env: { PATH, [MARK]: `${id}.9` } })
    const other = spawn('sleep', ['1000'], { ...options, env: { PATH, [MARK]: `${id}9.9` } })
    const gone = new Promise((resolve) => own.once('exit', (_code, signal) => resolve(signal)))
    await execs.start()
    assert.equal(await gone, 'SIGKILL')
    assert.deepEqual(left(), [])
    assert.equal(other.exitCode ?? other.signalCode, null)
    other.kill('SIGKILL')
  })

  it('says what is missing, and what the driver says', async () => {
    const { execs } = world()
    const heard = await heardOf(execs.run(request(['no-such-program']), says(END), never()))
    assert.match(heard.end?.kind === 'missing' ? heard.end.message : '', /not on the PATH of peer 'oak'/)
    const nowhere = execs.run(request(['true'], { workingDir: 'nowhere' }), says(END), never())
    await assert.rejects(nowhere.next(), { code: 'unknown' })
    const down = new Execs({
      driver: {
        enter: () => {
          throw new TuttiError('conflict', 'shop/web/0 does not run')
        },
      },
      peer: { id: 'x', name: 'oak' },
      clock: systemClock,
      mintMark: () => '1',
    })
    await assert.rejects(down.run(request(['true']), says(), never()).next(), { code: 'conflict' })
  })
})
