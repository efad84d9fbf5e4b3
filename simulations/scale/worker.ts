// Measures one size in a process of its own, so that the memory of one does not count for the next, and prints the answer as
// JSON: one line on stdout, and what it is doing on stderr.

import { measure } from './measure.ts'

const peers = Number(process.argv[2])
const say = (line: string): void => void process.stderr.write(`${peers} peers: ${line}\n`)
process.stdout.write(`${JSON.stringify(await measure({ peers, seed: `scale-${peers}`, say }))}\n`)
