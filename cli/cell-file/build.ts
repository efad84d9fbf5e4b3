// A service's `build` section: how `tutti release` makes its package out of a commit. It is an instruction for whoever
// releases and no part of the service: peers never see it. Whether the output exists is known only after the build.

import { isAbsolute, join, normalize, resolve } from 'node:path'
import { parseDuration } from '../../lib/time.ts'
import { BUILD_KEYS } from './keys.ts'
import type { Reader, Section } from './reader.ts'

/** How a service's package is made. */
export interface Build {
  /** Absolute directory in which the command runs. */
  readonly context: string
  /** Exec form; null: there is nothing to run, what is committed is the artifact. */
  readonly command: readonly string[] | null
  /** Absolute directory that becomes the package. */
  readonly output: string
  /** Exec form; run in the unpacked artifact before it is pushed. Null: nothing is. */
  readonly verify: readonly string[] | null
  /** For the command, and again for `verify`. */
  readonly timeoutMs: number
}

/** By service. */
export type Builds = ReadonlyMap<string, Build>

// A cold build of a large program takes minutes; one that takes longer than this hangs.
const TIMEOUT_DEFAULT_MS = parseDuration('30m')
const SHELL = '/bin/sh'

/** `build: ./dir`, or its keys; null where there is none. Problems are noted in the reader. */
export const readBuild = (reader: Reader, service: Section): Build | null => {
  const tree = service.get('build')
  const path = service.pathOf('build')
  if (tree === undefined) return null
  if (service.has('package')) {
    reader.problems.invalid(
      service.placeOf('package'),
      `${service.pathOf('package')}: ${path} makes the package already; keep one of the two`,
    )
  }
  if (tree.kind === 'text' || tree.kind === 'null') {
    const context = within(reader, service, 'build', reader.directory)
    return { context, command: null, output: context, verify: null, timeoutMs: TIMEOUT_DEFAULT_MS }
  }
  const section = reader.section(tree, path, BUILD_KEYS)
  const context = within(reader, section, 'context', reader.directory)
  return {
    context,
    command: readScript(reader, section, 'command'),
    output: within(reader, section, 'output', context),
    verify: readScript(reader, section, 'verify'),
    timeoutMs: reader.duration(section.get('timeout'), section.pathOf('timeout')) ?? TIMEOUT_DEFAULT_MS,
  }
}

/** A relative directory; the base itself where it is not named. */
const within = (reader: Reader, section: Section, key: string, base: string): string => {
  const text = reader.text(section.get(key), section.pathOf(key))
  if (text === undefined) return base
  if (!isAbsolute(text.text)) return resolve(base, normalize(text.text))
  reader.problems.invalid(
    text,
    `${section.pathOf(key)}: ${text.text} is absolute, and a release builds what is in the repository; make it relative`,
  )
  return join(base, text.text)
}

/**
 * A list is run as it is. A string is a script of the shell, of several lines if need be, and ends with the first
 * command that fails: what Dockerfiles and CI files mean by it.
 */
const readScript = (reader: Reader, section: Section, key: string): readonly string[] | null => {
  const tree = section.get(key)
  const path = section.pathOf(key)
  if (tree === undefined || tree.kind === 'null') return null
  const words = reader.texts(tree, path).map(({ text }) => text)
  if ((words[0] ?? '').trim() === '') {
    reader.problems.invalid(section.placeOf(key), `${path} is empty; give a program to run, or remove it`)
    return null
  }
  return tree.kind === 'list' ? words : [SHELL, '-ec', words.join('\n')]
}
