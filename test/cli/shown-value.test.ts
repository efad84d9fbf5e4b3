// Values that are one text for programs, as plan, diff, history and conflicts show them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shownValue } from '../../cli/shown-value.ts'

const DIGEST = '0123456789abcdef'.repeat(4)

describe('values of the intent', () => {
  it('show what a service is pinned to by name, version and the start of the digest', () => {
    assert.equal(shownValue('shop/web package', `api@1.4.2#${DIGEST}`), 'api 1.4.2 (0123456789ab)')
  })

  it('show what a version means with its size, and that it was removed', () => {
    const entry = { bytes: 2_000_000, digest: DIGEST, files: 3 }
    assert.match(
      shownValue('package api@1.4.2', JSON.stringify(entry)),
      /^api 1\.4\.2 \(0123456789ab\), .+ in 3 files$/,
    )
    assert.equal(
      shownValue('package api@1.4.2', JSON.stringify({ ...entry, removed: true })),
      'api 1.4.2 (0123456789ab), removed',
    )
  })

  it('show how a build fared by its version, or by its commit where it got none', () => {
    const failed = {
      commit: 'abcdef0123456789',
      kind: 'failed',
      message: 'no test',
      output: ['a'],
      version: '',
    }
    assert.equal(
      shownValue('build duty shop outcome', JSON.stringify(failed)),
      'abcdef012345 failed: no test',
    )
    assert.equal(
      shownValue('build duty shop outcome', JSON.stringify({ ...failed, kind: 'released', version: '1.4' })),
      '1.4 released: no test',
    )
    assert.equal(shownValue('build duty shop branch', '{"commit":1}'), '{"commit":1}')
  })

  it('show what an invitation is good for', () => {
    assert.equal(
      shownValue('invite 12D3', JSON.stringify({ expiresAt: 0, role: 'operator', uses: 1 })),
      'good for 1 use as operator until 1970-01-01T00:00:00.000Z',
    )
  })

  it('leave everything else as it stands', () => {
    assert.equal(shownValue('shop/web command', '["a"]'), '["a"]')
    assert.equal(shownValue('shop/web package', 'what a later version says'), 'what a later version says')
    assert.equal(shownValue('package api@1.4.2', '{"format":9}'), '{"format":9}')
    assert.equal(shownValue('package api@1.4.2', 'no JSON'), 'no JSON')
    assert.equal(shownValue('invite 12D3', 'null'), 'null')
    assert.equal(shownValue('build duty shop outcome', '{"kind":"later"}'), '{"kind":"later"}')
  })
})
