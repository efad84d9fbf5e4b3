// The architecture as a test: which folder may import what, what pure code may not touch, and how large a file may
// grow. The table is DESIGN's import table; a change here is a change of the architecture and takes an ADR.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, it } from 'node:test'

const root = resolve(import.meta.dirname, '..')

interface Room {
  /** Files it covers; the first room that matches a file is its room. */
  readonly files: RegExp
  /** Project files it may import, besides its own room. */
  readonly imports: readonly RegExp[]
  /** Packages and built-ins it may import. */
  readonly packages: readonly RegExp[]
  /** Pure rooms touch no clock, randomness, IO or globals. */
  readonly pure: boolean
}

const NODE = /^node:/
const lib = /^lib\//
const crdt = /^crdt\//
const schema = /^crdt\/schema\//
const net = /^net\/[^/]+\.ts$/
const plan = /^node\/plan\//
const ports = /^node\/ports\.ts$/
const doctor = /^node\/doctor\//
// The format of packages, and the port of their store.
const packages = /^node\/package\//
// What the command line shares with the API: types, and the exec's two light codecs.
const contract =
  /^node\/serve\/api\/(contract|contract-build-duties|contract-exec|contract-history|contract-leases|contract-packages|contract-simulate|contract-streams|exec-wire|package-frames|web-socket)\.ts$/

const rooms: readonly Room[] = [
  { files: /^lib\/(hash|signature)\.ts$/, imports: [], packages: [/^node:crypto$/], pure: true },
  { files: /^lib\//, imports: [], packages: [], pure: true },
  { files: /^crdt\/automerge\.ts$/, imports: [lib], packages: [/^@automerge\/automerge$/], pure: true },
  { files: /^crdt\//, imports: [lib], packages: [/^typebox/], pure: true },
  {
    files: /^net\/libp2p\//,
    imports: [lib, net],
    packages: [/^@?libp2p/, /^uint8arraylist$/, /^@multiformats\/multiaddr/, NODE],
    pure: false,
  },
  { files: /^net\//, imports: [lib], packages: [], pure: true },
  { files: /^node\/package\//, imports: [lib], packages: [], pure: true },
  {
    files: /^node\/plan\//,
    imports: [lib, schema, /^net\/membership\.ts$/, /^node\/package\/store\.ts$/],
    packages: [],
    pure: true,
  },
  {
    files: /^node\/doctor\//,
    imports: [/^lib\/(order|time)\.ts$/, /^net\/membership\.ts$/],
    packages: [],
    pure: true,
  },
  {
    files: /^node\/ports\.ts$/,
    imports: [lib, crdt, /^net\/membership\.ts$/, plan],
    packages: [],
    pure: true,
  },
  {
    files: /^node\/act\//,
    imports: [lib, schema, /^crdt\/(store\.ts$|log\/)/, ports, plan, doctor, packages],
    packages: [NODE],
    pure: false,
  },
  { files: /^node\/serve\/logging\.ts$/, imports: [lib], packages: [/^pino(-pretty)?$/, NODE], pure: false },
  {
    files: /^node\/serve\/metrics\.ts$/,
    imports: [lib, crdt, plan, ports, packages],
    packages: [/^prom-client$/, NODE],
    pure: false,
  },
  {
    files: /^node\/serve\//,
    imports: [lib, crdt, net, plan, ports, doctor, packages],
    packages: [/^fastify$/, /^@fastify\//, /^ws$/, /^typebox/, /^fastest-levenshtein$/, NODE],
    pure: false,
  },
  {
    files: /^node\/agent(\.ts|\/)/,
    imports: [lib, crdt, net, plan, ports, packages],
    packages: [],
    pure: true,
  },
  {
    files: /^node\//,
    imports: [lib, crdt, /^net\//, /^node\//, /^package\.json$/],
    packages: [NODE],
    pure: false,
  },
  {
    files: /^cli\/commands\/(up|join)\.ts$/,
    imports: [lib, schema, contract, /^node\/main\.ts$/],
    packages: [/^commander$/, NODE],
    pure: false,
  },
  {
    files: /^cli\/commands\/install-service\.ts$/,
    imports: [lib, contract, /^node\/end-instances\.ts$/],
    packages: [/^commander$/, NODE],
    pure: false,
  },
  {
    files: /^cli\/commands\/(doctor|journal)\.ts$/,
    imports: [lib, contract, /^node\/serve\/api\/contract-doctor\.ts$/, doctor, /^node\/act\/examine\//],
    packages: [NODE],
    pure: false,
  },
  {
    files: /^cli\/package\//,
    imports: [lib, schema, contract, packages, /^cli\//],
    packages: [/^ignore$/, NODE],
    pure: false,
  },
  {
    files: /^cli\//,
    imports: [lib, schema, contract, /^package\.json$/],
    packages: [/^commander$/, /^yaml$/, /^ws$/, /^fastest-levenshtein$/, /^string-argv$/, /^typebox/, NODE],
    pure: false,
  },
  {
    files: /^simulations\//,
    imports: [lib, crdt, net, plan, ports, packages, /^node\/agent/],
    packages: [NODE],
    pure: false,
  },
  { files: /^(test|bench|examples)\//, imports: [/./], packages: [/./], pure: false },
]

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name)
    if (name === 'node_modules') return []
    if (statSync(join(root, path)).isDirectory()) return sources(path)
    return /\.(ts|mjs)$/.test(name) ? [path] : []
  })

const files = ['lib', 'crdt', 'net', 'node', 'cli', 'simulations', 'bench'].flatMap(sources)
const textOf = (file: string): string => readFileSync(join(root, file), 'utf8')
const roomOf = (file: string): Room | undefined => rooms.find((room) => room.files.test(file))

const importsOf = (text: string): string[] =>
  [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)[^'"`;]*?from\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|\bimport\('([^']+)'\)/g,
    ),
  ].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '')

/** Source text without comments and string contents, for looking at what code does rather than says. */
const codeOnly = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")

describe('architecture', () => {
  it('gives every source file a room', () => {
    assert.deepEqual(
      files.filter((file) => roomOf(file) === undefined),
      [],
    )
  })

  it('imports only what the import table allows', () => {
    const broken = files.flatMap((file) => {
      const room = roomOf(file)
      if (room === undefined) return []
      return importsOf(textOf(file)).flatMap((name) => {
        if (!name.startsWith('.'))
          return room.packages.some((allowed) => allowed.test(name)) ? [] : [`${file}: ${name}`]
        const target = relative(root, resolve(root, dirname(file), name))
        const own = file.startsWith('node/')
          ? roomOf(target) === room
          : target.split('/')[0] === file.split('/')[0]
        return own || room.imports.some((allowed) => allowed.test(target)) ? [] : [`${file}: ${target}`]
      })
    })
    assert.deepEqual(broken, [])
  })

  it('keeps clock, randomness, IO and globals out of pure code', () => {
    const ambient =
      /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(|\bqueueMicrotask\(|\bperformance\.|\bprocess\.|\bconsole\.|\bglobalThis\b|\bfetch\(|\bcrypto\./
    const broken = files.filter((file) => roomOf(file)?.pure === true && ambient.test(codeOnly(textOf(file))))
    assert.deepEqual(broken, [])
  })

  it('opens every source file with a comment that says what it is', () => {
    const silent = files.filter((file) => !/^(#!.*\n)?(\/\/|\/\*)/.test(textOf(file)))
    assert.deepEqual(silent, [])
  })

  it('keeps files small: one concept each', () => {
    // 300 is the house's measure; 450 is where a file has surely outgrown its name.
    const large = [...files, ...sources('test')].filter((file) => textOf(file).split('\n').length > 450)
    assert.deepEqual(large, [])
  })

  it('leaves no file that nothing imports', () => {
    const entries =
      /^(cli\/(main|command)\.ts|node\/act\/(exec\/terminal-host|packages\/chunk-thread-main)\.ts|simulations\/(main|swarm|swarm-worker|scale|scale\/worker|scenarios\/main|mutants\/gate|mutants\/gate-worker)\.ts|bench\/)/
    const all = [...files, ...sources('test')]
    const imported = new Set(
      all.flatMap((file) =>
        importsOf(textOf(file))
          .filter((name) => name.startsWith('.'))
          .map((name) => relative(root, resolve(root, dirname(file), name))),
      ),
    )
    assert.deepEqual(
      files.filter((file) => !imported.has(file) && !entries.test(file)),
      [],
    )
  })

  it('keeps schemas out of what every command loads', () => {
    // A file of their own has them (bin/build.ts), for the one command that asks what a peer would refuse.
    const apart = ['cli/cell-file/limits.ts', 'node/main.ts']
    const reached = new Set(['cli/command-line.ts'])
    for (const file of reached) {
      const values = textOf(file).replace(/^(import|export) type [^'`;]*?from\s+'[^']+'/gm, '')
      for (const name of importsOf(values)) {
        const target = name.startsWith('.') ? relative(root, resolve(root, dirname(file), name)) : name
        assert.doesNotMatch(target, /^typebox/, `${file} imports it`)
        if (target.endsWith('.ts') && !apart.includes(target)) reached.add(target)
      }
    }
    assert.ok(reached.size > 100, `the commands are made of ${reached.size} files`)
  })

  it('uses the glossary: no word of another house', () => {
    const foreign = /\b(leader|master|coordinator|controller|pod)s?\b/i
    const broken = files.filter((file) => {
      const code = codeOnly(textOf(file)).replace(/\bAbortController\b|\bcontroller\b(?=[.)\s;,])/g, '')
      return foreign.test(code)
    })
    assert.deepEqual(broken, [])
  })
})
