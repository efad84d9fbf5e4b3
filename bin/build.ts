// Bundles the sources into dist/, which bin/tutti prefers while it is newer than they are. `npm ci` runs it (prepare). A
// bundled peer starts in half the time and holds a third less memory, since a thousand small modules and the stripping
// of types are gone (docs/adr/0007). Whatever runs from dist/ runs from source too; nothing else differs.
//
// There are two bundles. The peer's (main.js) is made of chunks, each loaded when it is needed, and has everything. The
// commands' (command.cjs) is one file with everything but the peer: a command is over in a tenth of a second, of which forty
// chunks take a third.

import { copyFileSync, globSync, renameSync, rmSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, join, resolve } from 'node:path'
import type { BuildOptions, Plugin } from 'esbuild'

const root = resolve(import.meta.dirname, '..')
const out = join(root, 'dist')
const drafts = join(root, 'dist.tmp')

const COMMON: BuildOptions = {
  absWorkingDir: root,
  outdir: drafts,
  bundle: true,
  platform: 'node',
  target: 'node24',
  // Names stay readable in the stacks that the log keeps of bugs.
  minifySyntax: true,
  minifyWhitespace: true,
  // Files of their own. The name of one author has an umlaut, and a script with a single letter beyond ASCII, which esbuild
  // escapes elsewhere, is kept by V8 in two bytes for each of its letters: three megabytes of every peer.
  legalComments: 'external',
  // It finds its WebAssembly beside itself.
  external: ['@automerge/automerge'],
  logLevel: 'warning',
}

const PEER: BuildOptions = {
  ...COMMON,
  // The command line, which is everything, the small process that holds a terminal for an exec, and the packages' thread.
  entryPoints: ['cli/main.ts', 'node/act/exec/terminal-host.ts', 'node/act/packages/chunk-thread-main.ts'],
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  // Commands load only what they need, as from source.
  splitting: true,
  format: 'esm',
  // Bundled CommonJS asks for built-ins by `require`.
  banner: {
    js: "import { createRequire as tuttiRequire } from 'node:module'; const require = tuttiRequire(import.meta.url);",
  },
}

/** Loaded by Node.js before any script, or a function that others inherit from. */
const AT_ONCE = ['assert', 'buffer', 'events', 'fs', 'module', 'path', 'process', 'stream', 'url'].map(
  (name) => `node:${name}`,
)

/**
 * Built-ins that are loaded when something of them is first used: an import loads one whole, and one that is an ES module's
 * looks at all it has, which loads a dozen others.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy built-ins',
  setup(build) {
    build.onResolve({ filter: /^/ }, ({ path }) =>
      isBuiltin(path) ? { path: `node:${path.replace(/^node:/, '')}`, namespace: 'built-in' } : null,
    )
    build.onLoad({ filter: /^/, namespace: 'built-in' }, async ({ path }) => {
      if (AT_ONCE.includes(path)) return { contents: `module.exports = process.getBuiltinModule('${path}')` }
      const names = Object.keys((await import(path)) as object)
      return {
        contents: `for (const name of ${JSON.stringify(names)})
          Object.defineProperty(exports, name, {
            configurable: true,
            enumerable: true,
            get() {
              const value = process.getBuiltinModule('${path}')[name]
              Object.defineProperty(exports, name, { value })
              return value
            },
          })`,
      }
    })
  },
}

/** What has a file of its own: the peer's bundle, what the entry loads, and what few commands need. */
const apart: Plugin = {
  name: 'apart',
  setup(build) {
    build.onResolve({ filter: /\/node\/main\.ts$/ }, () => ({ path: './main.js', external: true }))
    build.onResolve({ filter: /(^ws|\/(command-line|limits)\.ts)$/ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path: `./${basename(path, '.ts')}.cjs`, external: true } : null,
    )
  },
}

const COMMANDS: BuildOptions = {
  ...COMMON,
  entryPoints: {
    command: 'cli/command.ts',
    'command-line': 'cli/command-line.ts',
    limits: 'cli/cell-file/limits.ts',
    ws: 'ws',
  },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  // Its scripts are required, not imported.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'tuttiUrl', 'import.meta.dirname': '__dirname' },
  banner: { js: "const tuttiUrl = process.getBuiltinModule('node:url').pathToFileURL(__filename).href;" },
  plugins: [apart, lazyBuiltins],
}

const bundle = async (): Promise<void> => {
  const { build } = await import('esbuild')
  rmSync(drafts, { recursive: true, force: true })
  await Promise.all([build(PEER), build(COMMANDS)])
  // Scripts that the code starts by a path beside its own.
  for (const script of globSync('node/act/**/*.sh', { cwd: root })) {
    copyFileSync(join(root, script), join(drafts, basename(script)))
  }
}

/** Replaces dist/ in one step, so that nobody ever starts half a bundle. */
const replace = (): void => {
  rmSync(out, { recursive: true, force: true })
  renameSync(drafts, out)
}

try {
  await bundle()
  replace()
} catch (thrown) {
  const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_MODULE_NOT_FOUND'
  if (!missing) throw thrown
  process.stderr.write(
    'esbuild is not installed (--omit=dev?); tutti runs from source, which takes more memory\n',
  )
}
