import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { aliveIn, Places, type Place } from '../../../../../node/act/drivers/process/places.ts'

const run = promisify(execFile)

describe('places', () => {
  let folder = ''
  let requests: string[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tutti-places 'x-"))
    requests = []
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const places = (): Places =>
    new Places(async (command) => {
      requests.push(command)
      await run('/bin/sh', ['-c', command])
    }, null)
  const placeOf = (name: string | number): Place => ({
    runDirectory: join(folder, `run${name}`),
    directories: [join(folder, 'work', `w${name}`)],
  })
  const assertMade = ({ runDirectory, directories }: Place): void => {
    for (const directory of [runDirectory, ...directories])
      assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.ok(statSync(aliveIn(runDirectory)).isFIFO())
  }

  it('makes those of many starts by few requests, and every one of them', async () => {
    const all = Array.from({ length: 100 }, (_, at) => placeOf(at))
    const made = places()
    await Promise.all(all.map(async (place) => await made.make(place)))
    all.forEach(assertMade)
    assert.ok(requests.length <= 4 + 3, `${requests.length} requests`)
  })

  it('makes the directories of a single one without asking for a program', async () => {
    await places().make(placeOf(1))
    assertMade(placeOf(1))
    assert.ok(requests.every((request) => !request.includes('mkdir')))
  })

  it('tells everybody in a batch that failed, and goes on with the next', async () => {
    const made = places()
    const blocked = Array.from({ length: 5 }, (_, at) => ({
      runDirectory: `/dev/null/${at}`,
      directories: [],
    }))
    const outcomes = await Promise.allSettled(blocked.map(async (place) => await made.make(place)))
    assert.ok(outcomes.every(({ status }) => status === 'rejected'))
    await made.make(placeOf(2))
    assertMade(placeOf(2))
  })
})
