// The error table, its statuses, and the page that documents both.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ERROR_CODES } from '../../../../lib/errors.ts'
import { HTTP_STATUSES } from '../../../../node/serve/api/statuses.ts'

describe('docs/errors.md', () => {
  it('lists every code with its meaning and status, and nothing else', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../../docs/errors.md'), 'utf8')
    const rows = [...page.matchAll(/^\| `([a-z-]+)` +\| (\d{3}) +\| ([^|]+?) +\|/gm)].map(
      ([, code, status, meaning]) => ({
        code,
        status: Number(status),
        meaning,
      }),
    )
    const table = Object.entries(ERROR_CODES).map(([code, meaning]) => ({
      code,
      status: HTTP_STATUSES[code as keyof typeof HTTP_STATUSES],
      meaning,
    }))
    assert.deepEqual(rows, table)
  })
})
