// Bundles the sources into dist/, which bin/tutti prefers while it is newer than they are. `npm ci` runs it (prepare). A
// bundled peer starts in half the time and holds a third less memory, since a thousand small modules and the stripping
// of types are gone (docs/adr/0007). Whatever runs from dist/ runs from source too; nothing else differs.

import { copyFileSync, globSync, renameSync, rmSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const out = join(root, 'dist')
const drafts = join(root, 'dist.tmp')

const bundle = async (): Promise<void> => {
  const { build } = await import('esbuild')
  rmSync(drafts, { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    // The command line, which is everything, the small process that holds a terminal for an exec, and the packages' thread.
    entryPoints: ['cli/main.ts', 'node/act/exec/terminal-host.ts', 'node/act/packages/chunk-thread-main.ts'],
    outdir: drafts,
    entryNames: '[name]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    // Commands load only what they need, as from source.
    splitting: true,
    format: 'esm',
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
    // Bundled CommonJS asks for built-ins by `require`.
    banner: {
      js: "import { createRequire as tuttiRequire } from 'node:module'; const require = tuttiRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
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
