// Values about packages, as plan, diff and conflicts show them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shownValue } from '../../../cli/package/shown.ts'

const DIGEST = '0123456789abcdef'.repeat(4)

describe('values about packages', () => {
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

  it('leave everything else as it stands', () => {
    assert.equal(shownValue('shop/web command', '["a"]'), '["a"]')
    assert.equal(shownValue('shop/web package', 'what a later version says'), 'what a later version says')
    assert.equal(shownValue('package api@1.4.2', '{"format":9}'), '{"format":9}')
    assert.equal(shownValue('package api@1.4.2', 'no JSON'), 'no JSON')
  })
})
