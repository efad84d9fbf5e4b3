// A peer takes precedence over what it starts, in a session of its own and nowhere else.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'

const FILE = '/proc/self/autogroup'
const MODULE = resolve(import.meta.dirname, '../../../node/act/precedence.ts')
/** Takes precedence; then says what share it has, and what one that it starts as it starts instances. */
const SCRIPT = `
  import { readFileSync } from 'node:fs'
  import { spawnSync } from 'node:child_process'
  import { takePrecedence } from ${JSON.stringify(MODULE)}
  takePrecedence({ log: () => undefined })
  const child = spawnSync('setsid', ['-w', 'cat', '${FILE}'], { encoding: 'utf8' })
  process.stdout.write(readFileSync('${FILE}', 'utf8') + child.stdout)
`

/** How nice a process and its child are, by their sessions. */
const nicesOf = (before: readonly string[]): readonly string[] => {
  const [file, ...rest] = [...before, process.execPath, '--input-type=module', '-e', SCRIPT]
  const { stdout, stderr } = spawnSync(file, rest, { encoding: 'utf8' })
  assert.equal(stderr.replace(/^.*Warning.*$/gm, '').trim(), '')
  return stdout.match(/(?<=nice )-?\d+/g) ?? []
}

const missing = !existsSync(FILE)
  ? 'this kernel does not share by session'
  : process.getuid?.() !== 0
    ? 'only root may take precedence'
    : null

describe('precedence', () => {
  it('is taken in a session of its own, and not handed on', (test) => {
    if (missing !== null) test.skip(missing)
    else assert.deepEqual(nicesOf(['setsid', '-w']), ['-5', '0'])
  })

  it('is not taken in a session of others', (test) => {
    if (missing !== null) test.skip(missing)
    // A session of the test's own, with a shell at its head: the test's may be the machine's first one, which has no share to tell.
    else assert.deepEqual(nicesOf(['setsid', '-w', 'sh', '-c', '"$@"; exit $?', 'sh']), ['0', '0'])
  })
})
