// Where a peer's data is by default.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultDataDirectory } from '../../cli/default-data.ts'

describe('defaultDataDirectory', () => {
  it('is $TUTTI_DATA when that is set, whoever asks', () => {
    assert.equal(defaultDataDirectory({ TUTTI_DATA: '/srv/tutti' }, 0), '/srv/tutti')
  })

  it('is under $XDG_STATE_HOME, else under the home, for an ordinary user', () => {
    assert.equal(defaultDataDirectory({ XDG_STATE_HOME: '/s', HOME: '/h' }, 1000), '/s/tutti')
    assert.equal(defaultDataDirectory({ HOME: '/h' }, 1000), '/h/.local/state/tutti')
  })

  it('ignores a relative $XDG_STATE_HOME, as its specification has it', () => {
    assert.equal(defaultDataDirectory({ XDG_STATE_HOME: 's', HOME: '/h' }, 1000), '/h/.local/state/tutti')
  })
})
