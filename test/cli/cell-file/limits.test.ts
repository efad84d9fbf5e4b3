// Limits of the schema: what a cell file may be too long for, said with the file's own words.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkLimits } from '../../../cli/cell-file/read.ts'
import { cellDirectory } from './cell-directory.ts'

const { read } = cellDirectory()
const cellWith = (lines: string) => read(`name: shop\nservices:\n  web:\n    command: [run]\n    ${lines}\n`)

describe('checkLimits', () => {
  it('refuses a value that is longer than the document takes', async () => {
    await assert.rejects(checkLimits(cellWith(`environment: { A: ${'x'.repeat(40_000)} }`)), {
      code: 'invalid',
      message: /^cell\.yaml:1:1: services\.web\.environment\.A /,
    })
  })

  it('has nothing to say of a cell within them', async () => {
    await checkLimits(cellWith('environment: { A: x }'))
  })
})
