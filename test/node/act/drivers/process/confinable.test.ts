// What this machine says that it can confine by, against what it is.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { confinable } from '../../../../../node/act/drivers/process/confinable.ts'
import { findProgram } from '../../../../../node/act/drivers/process/command.ts'

describe('confinable', () => {
  it('lacks isolation exactly where bubblewrap is missing', () => {
    assert.equal(confinable().sandboxLack === '', findProgram('bwrap') !== null)
  })

  it('changes users exactly where it is root and has setpriv; its own user it always gives', () => {
    const { userLack, ownUsers } = confinable()
    const canChange = process.geteuid?.() === 0 && findProgram('setpriv') !== null
    assert.equal(userLack === '', canChange)
    assert.equal(canChange || ownUsers.includes(`${process.geteuid?.()}:${process.getegid?.()}`), true)
  })
})
