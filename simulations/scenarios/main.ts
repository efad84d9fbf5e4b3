// `npm run sim:scenarios [NAME…]`: tells all scenarios, or those that are named, and exits with 1 when something in one did
// not hold. One that is named alone is told in full. Arguments and printing only.

import { SCENARIOS } from './registry.ts'
import { tell } from './tell.ts'

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const main = async (names: readonly string[]): Promise<number> => {
  const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name))
  if (unknown.length > 0) {
    const known = SCENARIOS.map(({ name }) => name).join(', ')
    process.stderr.write(`there is no scenario '${unknown.join("', '")}'; there are ${known}\n`)
    return 2
  }
  let failed = 0
  for (const scenario of SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    print(`${scenario.name}: ${scenario.fear}`)
    const lines: string[] = []
    const told = await tell(scenario, (atMs, line) => {
      const text = `${(atMs / 1000).toFixed(1).padStart(9)}s  ${line}`
      if (names.length === 1) print(text)
      else lines.push(text)
    })
    if (told.wrong.length === 0) {
      const rest = told.settledMs === null ? '' : `, at rest ${(told.settledMs / 1000).toFixed(1)} s after it`
      print(`  holds (${(told.simulatedMs / 1000).toFixed(0)} s simulated${rest})`)
      continue
    }
    failed += 1
    for (const line of lines) print(line)
    for (const wrong of told.wrong) print(`  FAILED: ${wrong}`)
    print(`  again: npm run sim:scenarios ${scenario.name}`)
  }
  return failed === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
