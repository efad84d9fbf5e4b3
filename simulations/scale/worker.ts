// Measures one size in a process of its own, so that the memory of one does not count for the next, and sends the answer.

import { measure } from './measure.ts'

const peers = Number(process.argv[2])
const say = (line: string): void => void process.stderr.write(`${peers} peers: ${line}\n`)
const measured = await measure({ peers, seed: `scale-${peers}`, say })
process.send?.(measured)
