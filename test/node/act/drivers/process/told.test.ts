import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { toldIn } from '../../../../../node/act/drivers/process/told.ts'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tutti-told-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const write = (files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
}

const IDENTITY = { pid: 42, startedBy: 777 }
/** Of a run whose program has not begun. */
const begun = (confined: string) => ({
  confined,
  shim: IDENTITY,
  isUp: false,
  words: '',
  status: '',
  oomKills: null,
  endedAtMs: null,
})

describe('toldIn', () => {
  it('reads what a shim has told so far, line by line', () => {
    write({ told: 'confined {"joins":"a b"}\nshim 42 777\n' })
    assert.deepEqual(toldIn(folder), begun('{"joins":"a b"}'))
    write({ told: 'confined {}\nshim 42 777\nup\nTerminated\nexit 143\n' })
    const { endedAtMs, ...late } = toldIn(folder)
    assert.ok(endedAtMs !== null)
    assert.deepEqual(late, {
      confined: '{}',
      shim: IDENTITY,
      isUp: true,
      words: 'Terminated',
      status: '143',
      oomKills: null,
    })
  })

  it('reads how many its groups had lost to want of memory, which are no words of the shell', () => {
    write({ told: 'confined {}\nshim 42 777\nup\nexit 3\noom 2\n' })
    const { status, words, oomKills } = toldIn(folder)
    assert.deepEqual({ status, words, oomKills }, { status: '3', words: '', oomKills: 2 })
  })

  it('tells nothing of a line that a full disk has cut off', () => {
    write({ told: 'confined {}\nshim 42 777\nup\nexit 14' })
    assert.equal(toldIn(folder).status, '')
    write({ told: 'confined {}\nshim 42 77' })
    assert.equal(toldIn(folder).shim, null)
  })

  it('is not misled by what a shell says of the program, as bash does with its whole command', () => {
    write({ told: 'confined {}\nshim 42 777\nup\nshim.sh: line 7: 9 Killed (exec\nexit 0\n)\nexit 137\n' })
    const { status, words } = toldIn(folder)
    assert.equal(status, '137')
    assert.ok(words.includes('Killed'))
  })

  it('reads a run of the version that kept a file for each, so that an upgrade adopts it (S6)', () => {
    write({ confined: '{"joins":"x"}', pid: '42 777\n' })
    assert.deepEqual(toldIn(folder), begun('{"joins":"x"}'))
    write({ up: '', signal: 'Killed\n', exit: '137\n' })
    const { isUp, words, status } = toldIn(folder)
    assert.deepEqual({ isUp, words, status }, { isUp: true, words: 'Killed\n', status: '137' })
  })
})
