// What the kernel says of processes: memory shared out fairly (PSS), and who lives.

import { readFileSync } from 'node:fs'

/** Proportional set size: private pages, and each shared one divided by its sharers. KiB; 0 for who is gone. */
export const pssKib = (pid: number): number => {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

const statFields = (pid: number): readonly string[] => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

/** Whether it runs; a zombie does not. */
export const lives = (pid: number): boolean => !['Z', 'X', undefined].includes(statFields(pid)[0])

/** Who started it, or who took it over; 0: it is gone. */
export const parentOf = (pid: number): number => Number(statFields(pid)[1] ?? 0)
