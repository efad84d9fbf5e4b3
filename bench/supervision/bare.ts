// The floor: the same program by `spawn` of Node.js, one after the other in one process, with nothing written down.

import { spawn, type ChildProcess } from 'node:child_process'
import type { Roll } from './roll.ts'

/** Milliseconds from the first spawn until all run; they are ended before it returns. */
export const startBare = async (roll: Roll, count: number): Promise<number> => {
  roll.clear()
  const from = performance.now()
  const children: ChildProcess[] = []
  for (let at = 0; at < count; at += 1) {
    children.push(spawn(roll.program, [], { detached: true, stdio: 'ignore' }))
  }
  const tookMs = (await roll.until(count)) - from
  await Promise.all(
    children.map(
      (child) =>
        new Promise<void>((gone) => {
          child.once('exit', () => gone())
          child.kill('SIGKILL')
        }),
    ),
  )
  return tookMs
}
