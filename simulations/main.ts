// `npm run sim -- [SEED] …`. Plants the bug that `--mutant NAME` asks for before anything else is loaded, since a planted bug
// changes modules as they are loaded; all the rest is command.ts.

import { mutantFault, plant } from './mutants/registry.ts'

const at = process.argv.indexOf('--mutant')
const name = at < 0 ? null : (process.argv[at + 1] ?? '')
const fault = mutantFault(name)
if (fault === null) {
  const composition = plant(name)
  const { command } = await import('./command.ts')
  process.exitCode = await command(composition)
} else {
  process.stderr.write(`${fault}\n`)
  process.exitCode = 2
}
