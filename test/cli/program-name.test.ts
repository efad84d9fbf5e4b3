// Hints are lines to copy: they name the program as it can be typed where the person is.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { LAUNCHER, PROJECT } from '../../cli/launch.ts'
import { programName, programPath, typable } from '../../cli/program-name.ts'
import { tutti } from './fake.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tutti-path-'))
  writeFileSync(join(folder, 'tutti'), '')
})
after(() => rmSync(folder, { recursive: true }))

const at = (directory: string, environment: Readonly<Record<string, string>> = { PATH: '/nonexistent' }) => ({
  directory,
  environment,
})

describe('programName', () => {
  it('is the plain name where the PATH has it', () => {
    assert.equal(programName(at('/', { PATH: `/nonexistent:${folder}` })), 'tutti')
  })

  it('is short in the project, and the whole path elsewhere', () => {
    assert.equal(programName(at(PROJECT)), './bin/tutti')
    assert.equal(programName(at('/')), LAUNCHER)
    assert.equal(programPath(at(PROJECT)), LAUNCHER)
  })

  it('is npx where npx started it', () => {
    assert.equal(programName(at(PROJECT, { PATH: '/nonexistent', npm_command: 'exec' })), 'npx tutti')
  })
})

describe('typable', () => {
  it('replaces calls of the program, and nothing else', () => {
    const sentence = 'a bug in tutti; see tutti ps, tutti --help, or /opt/tutti ps in tutti.log'
    assert.equal(
      typable(sentence, at(PROJECT)),
      'a bug in tutti; see ./bin/tutti ps, ./bin/tutti --help, or /opt/tutti ps in tutti.log',
    )
  })

  it('reaches the sentences of errors', async () => {
    const environment = { PATH: '/nonexistent' }
    const { stderr } = await tutti(['ps', '--peer', '/nonexistent/t.sock'], {
      directory: PROJECT,
      environment,
    })
    assert.equal(stderr, 'tutti: no peer answers on /nonexistent/t.sock; start one with ./bin/tutti up\n')
  })
})
