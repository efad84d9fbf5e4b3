// The sensor of starvation: what it reads from a file of the kernel's form, and from none.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { coreWaitSensor } from '../../../node/act/core-wait.ts'

const withFile = (check: (path: string) => void): void => {
  const directory = mkdtempSync(join(tmpdir(), 'tutti-core-wait-'))
  try {
    check(join(directory, 'schedstat'))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

describe('coreWaitSensor', () => {
  it('reads the second figure anew each time, in milliseconds', () => {
    withFile((path) => {
      writeFileSync(path, '561029583 29292511 37\n')
      const sensor = coreWaitSensor(path)
      assert.equal(sensor(), 29.292511)
      writeFileSync(path, '561029583 31000000 38\n')
      assert.equal(sensor(), 31)
    })
  })

  it('keeps to what it knows when the file says nothing that it understands', () => {
    withFile((path) => {
      writeFileSync(path, '1 5000000 1\n')
      const sensor = coreWaitSensor(path)
      assert.equal(sensor(), 5)
      writeFileSync(path, 'nothing here\n')
      assert.equal(sensor(), 5)
    })
  })

  it('says 0 where the system has no such file', () => {
    withFile((path) => assert.equal(coreWaitSensor(path)(), 0))
  })
})
