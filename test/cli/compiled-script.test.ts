// What V8 has compiled of the commands' script is kept from run to run, and is never taken where it may be another's.

import assert from 'node:assert/strict'
import {
  chownSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { loadScript } from '../../cli/compiled-script.ts'

let folder: string
let script: string
let kept: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tutti-script-'))
  script = join(folder, 'script.cjs')
  kept = join(folder, 'kept', 'ls.code')
  write('one')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** The script's file anew: as long as ever, so that its length tells V8 nothing. */
const write = (word: string): void => {
  rmSync(script, { force: true })
  writeFileSync(script, `exports.word = () => '${word}'; exports.beside = require('./beside.cjs')`)
  writeFileSync(join(folder, 'beside.cjs'), 'module.exports = __dirname')
}

/** The same file by another name, since this process's V8 remembers what it has compiled under the first. */
const rename = (): void => {
  const again = join(folder, 'again.cjs')
  renameSync(script, again)
  script = again
}

/** Runs the script and keeps its code; which file that is afterwards. */
const runAndKeep = (expected: string, into: string | null = kept): number => {
  const { exports, keep } = loadScript<{ word: () => string; beside: string }>(script, into)
  assert.deepEqual([exports.word(), exports.beside], [expected, folder])
  keep()
  return statSync(kept, { throwIfNoEntry: false })?.ino ?? 0
}

describe('a script with its compiled code', () => {
  it('takes what was kept, and keeps it but once', () => {
    const first = runAndKeep('one')
    assert.notEqual(first, 0)
    rename()
    assert.equal(runAndKeep('one'), first)
    assert.deepEqual(readdirSync(join(folder, 'kept')), ['ls.code'])
  })

  it('takes nothing of another build, though it is of the same length', () => {
    const first = runAndKeep('one')
    write('two')
    assert.notEqual(runAndKeep('two'), first)
    runAndKeep('two')
  })

  it('takes nothing that V8 does not know as its own', () => {
    runAndKeep('one')
    const bytes = readFileSync(kept)
    bytes.fill(0x5a, 64)
    rmSync(kept)
    writeFileSync(kept, bytes)
    const spoilt = statSync(kept).ino
    rename()
    assert.notEqual(runAndKeep('one'), spoilt)
    writeFileSync(kept, '')
    runAndKeep('one')
  })

  it('takes nothing that somebody else has written', (test) => {
    if (process.getuid?.() !== 0) {
      test.skip('only root can give a file away')
      return
    }
    const first = runAndKeep('one')
    chownSync(kept, 65534, 65534)
    assert.notEqual(runAndKeep('one'), first)
    assert.equal(statSync(kept).uid, 0)
  })

  it('runs where nothing can be kept', () => {
    writeFileSync(join(folder, 'kept'), 'a file where a folder should be')
    runAndKeep('one')
    assert.equal(runAndKeep('one', null), 0)
  })
})
