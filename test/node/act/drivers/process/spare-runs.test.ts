import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { aliveIn, Places } from '../../../../../node/act/drivers/process/places.ts'
import { toldIn } from '../../../../../node/act/drivers/process/told.ts'
import { until } from '../../../../support/until.ts'

const run = promisify(execFile)

describe('spare run directories', () => {
  let folder = ''
  let requests: string[] = []
  let underWay = 0
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tutti-spares 'x-"))
    requests = []
    underWay = 0
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const spares = (): string => join(folder, 'spares')
  const places = (): Places =>
    new Places(async (command) => {
      requests.push(command)
      underWay += 1
      await run('/bin/sh', ['-c', command])
      underWay -= 1
    }, spares())
  const made = async (all: Places, name: string): Promise<string> => {
    const runDirectory = join(folder, 'runs', name)
    await all.make({ runDirectory, directories: [] })
    return runDirectory
  }
  /** Until those that are made ahead of time are all there. */
  const filled = async (): Promise<void> =>
    await until(() => underWay === 0 && existsSync(spares()) && readdirSync(spares()).length >= 16)

  it('gives a run the directory of one that is over: its FIFO, nothing told, nothing else', async () => {
    const all = places()
    const former = await made(all, 'former')
    const { ino } = statSync(aliveIn(former))
    writeFileSync(join(former, 'told'), 'confined {}\nshim 17 4242\nup\nexit 3\n')
    for (const name of ['claim', 'heir', 'launch']) writeFileSync(join(former, name), 'x')
    await filled()
    await all.discard(former)
    assert.ok(!existsSync(former))
    // The one that was kept last is taken first.
    const next = await made(all, 'next')
    assert.equal(statSync(aliveIn(next)).ino, ino)
    assert.ok(statSync(aliveIn(next)).isFIFO())
    assert.deepEqual(readdirSync(next).toSorted(), ['alive', 'told'])
    const told = toldIn(next)
    assert.deepEqual([told.status, told.shim, told.confined], ['', null, ''])
  })

  it('keeps none that a run under a lease left something in, and none without a FIFO', async () => {
    const all = places()
    for (const [name, spoil] of [
      ['leased', (path: string) => writeFileSync(join(path, 'over'), '')],
      ['bare', (path: string) => rmSync(aliveIn(path))],
    ] as const) {
      const former = await made(all, name)
      const { ino } = statSync(former)
      spoil(former)
      await filled()
      await all.discard(former)
      assert.ok(!existsSync(former))
      assert.ok(readdirSync(spares()).every((spare) => statSync(join(spares(), spare)).ino !== ino))
    }
  })

  it('uses none that an earlier process left, and has them removed', async () => {
    mkdirSync(join(spares(), '1'), { recursive: true })
    mkdirSync(`${spares()}.old`)
    const all = places()
    const first = await made(all, 'first')
    await filled()
    await until(() => !existsSync(`${spares()}.old`))
    assert.ok(readdirSync(spares()).every((spare) => existsSync(aliveIn(join(spares(), spare)))))
    assert.ok(statSync(aliveIn(first)).isFIFO())
  })

  it('serves many at once from those that are there, and makes the others', async () => {
    const all = places()
    await made(all, 'first')
    await filled()
    const names = Array.from({ length: 60 }, (_, at) => `many${at}`)
    const directories = await Promise.all(names.map(async (name) => await made(all, name)))
    assert.ok(directories.every((directory) => statSync(aliveIn(directory)).isFIFO()))
    assert.ok(requests.some((request) => request.includes('many59')))
    assert.ok(!requests.some((request) => request.includes('many0')))
  })

  it('makes one where a spare has been taken away, and removes one that cannot be kept', async () => {
    const all = places()
    await made(all, 'first')
    await filled()
    rmSync(spares(), { recursive: true })
    const alone = await made(all, 'alone')
    const many = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(async (name) => await made(all, name)))
    for (const directory of [alone, ...many]) {
      assert.ok(statSync(aliveIn(directory)).isFIFO())
      await all.discard(directory)
      assert.ok(!existsSync(directory))
    }
  })
})
