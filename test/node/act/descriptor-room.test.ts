// A peer has room for the descriptors of many instances before it starts any.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'

const MODULE = resolve(import.meta.dirname, '../../../node/act/descriptor-room.ts')
/** Makes the room; then says how large the table is, and how much more of what fills it is open than before. */
const SCRIPT = `
  import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
  import { makeDescriptorRoom } from ${JSON.stringify(MODULE)}
  const target = (descriptor) => {
    try {
      return readlinkSync('/proc/self/fd/' + descriptor)
    } catch {
      return null
    }
  }
  const open = () => readdirSync('/proc/self/fd').filter((descriptor) => target(descriptor) === '/dev/null').length
  const before = open()
  await makeDescriptorRoom()
  const size = /FDSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]
  process.stdout.write(JSON.stringify({ size: Number(size), more: open() - before }))
`

/** In a process of its own, since a table never shrinks, with at most so many open files. */
const roomOf = (limit: number): { readonly size: number; readonly more: number } => {
  const script = [process.execPath, '--input-type=module', '-e', SCRIPT]
  const { stdout } = spawnSync('sh', ['-c', `ulimit -n ${limit} && exec "$@"`, 'sh', ...script], {
    encoding: 'utf8',
  })
  return JSON.parse(stdout) as { size: number; more: number }
}

describe('room for descriptors', () => {
  it('is made for two thousand, and nothing stays open', () => {
    assert.deepEqual(roomOf(4096), { size: 2048, more: 0 })
  })

  it('leaves half of what the machine allows to others', () => {
    assert.deepEqual(roomOf(1024), { size: 1024, more: 0 })
    assert.deepEqual(roomOf(600), { size: 512, more: 0 })
  })
})
