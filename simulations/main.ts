// `npm run sim -- [SEED] …`. Plants the bug that `--mutant NAME` asks for before anything else is loaded, since a planted bug
// changes modules as they are loaded; all the rest is command.ts.

import { plant } from './mutants/registry.ts'

const at = process.argv.indexOf('--mutant')
const composition = plant(at < 0 ? null : (process.argv[at + 1] ?? ''))
const { command } = await import('./command.ts')
process.exitCode = await command(composition)
