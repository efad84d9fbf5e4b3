// Finds processes that belong to a demo: those whose command line, directory or output lies under its temporary
// directory, whose random name proves it. The sweep after a demo, so that nothing is left even when an end went wrong.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

const read = (act: () => string): string => {
  try {
    return act()
  } catch {
    // Gone meanwhile, or another user's: not ours.
    return ''
  }
}

/** Process ids with a trace of `root`, this process excepted. Empty where there is no /proc. */
export const processesUnder = (root: string): readonly number[] => {
  let names: readonly string[]
  try {
    names = readdirSync('/proc')
  } catch {
    return []
  }
  const isUnder = (path: string): boolean => path === root || path.startsWith(`${root}/`)
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      // 1 and below name no single process of ours: kill(0) and kill(-1) mean groups.
      if (pid <= 1 || pid === process.pid) return false
      if (read(() => readFileSync(`/proc/${pid}/stat`, 'utf8')).includes(') Z ')) return false
      const links = ['cwd', 'fd/1', 'fd/2'].map((link) => read(() => readlinkSync(`/proc/${pid}/${link}`)))
      if (links.some((link) => isUnder(link.replace(/ \(deleted\)$/, '')))) return true
      return read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
        .split('\0')
        .some(isUnder)
    })
}

// What ended by TERM has had its grace already; the sweep is for what did not.
const GRACE_MS = 1000
const POLL_MS = 25

/** Ends every process under `root`: SIGTERM, a second, SIGKILL. Returns how many there were. */
export const endProcessesUnder = async (root: string): Promise<number> => {
  const found = new Set<number>()
  for (const [signal, patienceMs] of [
    ['SIGTERM', GRACE_MS],
    ['SIGKILL', GRACE_MS],
  ] as const) {
    const deadlineMs = performance.now() + patienceMs
    for (const pid of processesUnder(root)) {
      found.add(pid)
      read(() => String(process.kill(pid, signal)))
    }
    while (processesUnder(root).length > 0 && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }
  return found.size
}
