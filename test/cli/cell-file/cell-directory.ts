// A directory with what cell files refer to (sources, files of variables), and cell files read as if they lay in it. Every
// test of a section of the cell file reads through it.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { parseCellFile, type CellFile } from '../../../cli/cell-file/read.ts'
import type { ServiceSpec } from '../../../crdt/schema/service.ts'

/** A file, and all sentences about it, each after its line and column. */
export type Mistake = readonly [text: string, sentences: readonly string[]]

export interface CellDirectory {
  readonly directory: string
  readonly read: (text: string, environment?: Record<string, string>) => CellFile
  /** The one service of a file with these lines under it. */
  readonly service: (lines: string, environment?: Record<string, string>) => ServiceSpec
  /** The sentences about a file, without its name. */
  readonly problemsOf: (text: string, environment?: Record<string, string>) => readonly string[]
  /** Claims that each of these files is refused with its sentences. */
  readonly itSays: (mistakes: readonly Mistake[]) => void
}

/** Makes the directory; it is gone after the tests of the calling file. */
export const cellDirectory = (): CellDirectory => {
  const directory = mkdtempSync(join(tmpdir(), 'tutti-cells-'))
  after(() => rmSync(directory, { recursive: true, force: true }))
  mkdirSync(join(directory, 'src'))
  writeFileSync(join(directory, '.env'), 'FROM_DOT_ENV=dot\nBOTH=dot\n')
  writeFileSync(join(directory, 'web.env'), '# comment\nA=file\nB="two words"\nexport C=3\n')

  const read = (text: string, environment: Record<string, string> = {}): CellFile =>
    parseCellFile(text, 'cell.yaml', join(directory, 'cell.yaml'), environment)

  const service = (lines: string, environment: Record<string, string> = {}): ServiceSpec => {
    const text = `name: shop\nservices:\n  web:\n    command: [run]\n${lines.replace(/^/gm, '    ')}\n`
    const [spec] = read(text, environment).cell.services
    assert.ok(spec !== undefined)
    return spec
  }

  const problemsOf = (text: string, environment: Record<string, string> = {}): readonly string[] => {
    try {
      read(text, environment)
    } catch (thrown) {
      return thrown instanceof Error
        ? thrown.message.split('\n').map((line) => line.replace(/^cell\.yaml:/, ''))
        : []
    }
    return []
  }

  const itSays = (mistakes: readonly Mistake[]): void => {
    for (const [text, sentences] of mistakes)
      it(`says ${sentences[0]}`, () => assert.deepEqual(problemsOf(text), sentences))
  }
  return { directory, read, service, problemsOf, itSays }
}

/** A file with one service, whose further lines these are; they begin on line 5. */
export const web = (lines: string): string => `name: s\nservices:\n  web:\n    command: [run]\n    ${lines}`
