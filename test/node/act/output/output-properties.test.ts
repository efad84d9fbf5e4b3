// No line is lost, none is told twice and none out of order, whatever a program writes in whatever pieces, and wherever
// between them the peer dies, comes back, cuts, or the program ends and runs again. What a cut dropped is a prefix.

import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { unreachable } from '../../../../lib/assert.ts'
import { instanceIdOf, serviceIdOf, slotIdOf, type ReleaseId } from '../../../../lib/ids.ts'
import { silentLog } from '../../../../lib/log.ts'
import type { Clock } from '../../../../lib/time.ts'
import { OutputStore } from '../../../../node/act/output/output.ts'

const service = serviceIdOf('shop', 'web')
const instance = instanceIdOf(slotIdOf(service, 0), 'aaaa00000000' as ReleaseId)
const never = new AbortController().signal

// Timers never fire: the test says when the peer looks.
const stillClock: Clock = { now: () => 0, wall: () => Date.now(), after: () => () => undefined }

type Step =
  | { readonly kind: 'write'; readonly lines: number; readonly size: number; readonly cutAt: number }
  | { readonly kind: 'look' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'rerun' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      lines: fc.integer({ min: 1, max: 60 }),
      size: fc.integer({ min: 0, max: 700 }),
      cutAt: fc.integer({ min: 0, max: 40_000 }),
    }),
  },
  { weight: 5, arbitrary: fc.constantFrom<Step>({ kind: 'look' }, { kind: 'crash' }, { kind: 'rerun' }) },
)

class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'tutti-output-'))
  readonly written: string[] = []
  #store = this.#opened()
  #path = this.#store.begin(instance, { isRunning: false }).stdout

  #opened(): OutputStore {
    const bounds = { keepBytes: 32 * 1024, contentBytesMax: 64 * 1024 }
    return new OutputStore({ folder: this.folder, peer: 'a', clock: stillClock, log: silentLog, bounds })
  }

  async run(one: Step): Promise<void> {
    switch (one.kind) {
      case 'write': {
        const lines = Array.from({ length: one.lines }, (_, at) =>
          `${this.written.length + at} `.padEnd(one.size, 'x'),
        )
        const text = lines.map((line) => `${line}\n`).join('')
        this.written.push(...lines)
        // In two writes, the first ending anywhere, and the peer looks in between.
        appendFileSync(this.#path, text.slice(0, one.cutAt))
        await this.texts()
        appendFileSync(this.#path, text.slice(one.cutAt))
        return
      }
      case 'look':
        await this.texts()
        return
      case 'crash':
        // What comes while no peer is there, the next one finds at its first look.
        await this.#store.close()
        this.#append('while nobody looked')
        this.#store = this.#opened()
        this.#store.begin(instance, { isRunning: true })
        return
      case 'rerun': {
        this.#append('last words', '')
        this.#store.end(instance)
        this.#path = this.#store.begin(instance, { isRunning: false }).stdout
        return
      }
      default:
        return unreachable(one)
    }
  }

  #append(text: string, end = '\n'): void {
    const line = `${this.written.length} ${text}`
    appendFileSync(this.#path, `${line}${end}`)
    this.written.push(line)
  }

  async texts(limits: { readonly tail?: number } = {}): Promise<string[]> {
    const texts: string[] = []
    for await (const line of this.#store.read({ of: service, tail: 1_000_000, ...limits }, never))
      if ('text' in line && line.stream === 'stdout') texts.push(line.text)
    return texts
  }

  async close(): Promise<void> {
    await this.#store.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

describe('output', () => {
  it('loses no line, tells none twice and keeps their order over crashes, runs and cuts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const world = new World()
        try {
          for (const one of steps) await world.run(one)
          const told = await world.texts()
          // A cut drops the oldest; what remains is what was written last, whole and in order.
          assert.deepEqual(told, told.length === 0 ? [] : world.written.slice(-told.length))
          const bytes = world.written.reduce((sum, line) => sum + line.length + 1, 0)
          if (bytes <= 64 * 1024) assert.equal(told.length, world.written.length)
          const keptBytes = told.reduce((sum, line) => sum + line.length + 1, 0)
          if (bytes > 64 * 1024) assert.ok(keptBytes >= 31 * 1024, `${keptBytes} bytes are kept of ${bytes}`)
          assert.deepEqual(await world.texts({ tail: 7 }), world.written.slice(-Math.min(7, told.length)))
        } finally {
          await world.close()
        }
      }),
      { numRuns: 40 },
    )
  })
})
