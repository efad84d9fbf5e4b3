// bin/tutti finds its project and starts what belongs to it, by whatever path it is called.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

let folder: string
let project: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'tutti-launcher-')))
  project = join(folder, 'opt', 'tutti')
  for (const each of ['bin', 'dist']) mkdirSync(join(project, each), { recursive: true })
  copyFileSync(resolve(import.meta.dirname, '../../bin/tutti'), join(project, 'bin/tutti'))
  // A runtime that says which script it was given.
  writeFileSync(
    join(project, 'bin/node'),
    '#!/bin/sh\nfor word do case $word in -*) ;; *) printf %s "$word"; exit ;; esac; done\n',
    { mode: 0o755 },
  )
  for (const each of ['main.js', 'command.cjs']) writeFileSync(join(project, 'dist', each), '')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** The script that the launcher starts, as Node.js reads its path: by names alone. */
const started = (words: readonly string[], cwd = folder): string => {
  const [file = '', ...rest] = words
  return resolve(cwd, execFileSync(file, rest, { cwd, encoding: 'utf8' }))
}

describe('launcher', () => {
  it('starts the same script by whatever path it is called', () => {
    const script = join(project, 'dist/command.cjs')
    const [file, directory, parent] = ['tutti', 'links', 'current'].map((name) => join(folder, name))
    symlinkSync('opt/tutti/bin/tutti', String(file))
    symlinkSync(join(project, 'bin'), String(directory))
    symlinkSync('opt/tutti', String(parent))
    assert.equal(started([join(project, 'bin/tutti'), 'ls']), script)
    assert.equal(started([String(file), 'ls']), script)
    assert.equal(started([join(String(directory), 'tutti'), 'ls']), script)
    assert.equal(realpathSync(started([join(String(parent), 'bin/tutti'), 'ls'])), script)
    assert.equal(started(['./opt/tutti/bin/tutti', 'ls']), script)
    assert.equal(started(['bin/tutti', 'ls'], project), script)
    assert.equal(started(['./tutti', 'ls'], join(project, 'bin')), script)
    assert.equal(started(['sh', 'tutti', 'ls'], join(project, 'bin')), script)
  })

  it('goes through a folder of links that is called bin', () => {
    const home = join(folder, 'home')
    mkdirSync(home)
    symlinkSync(join(project, 'bin'), join(home, 'bin'))
    assert.equal(started([join(home, 'bin/tutti'), 'ls']), join(project, 'dist/command.cjs'))
  })

  it('takes the bundle of the peer for up', () => {
    assert.equal(started([join(project, 'bin/tutti'), 'up']), join(project, 'dist/main.js'))
  })
})
