// A finding: one thing that was looked at, how it is, and what to do about it. The only form in which examinations travel
// between peers, so that members of different versions understand one another's. It knows nothing of what is examined.

/** `fail`: something is broken or will be soon; `warn`: it works, and a person should know; `ok`: as it should be. */
export type Level = 'ok' | 'warn' | 'fail'

export const LEVELS: readonly Level[] = ['ok', 'warn', 'fail']

export interface Finding {
  readonly level: Level
  /** What was looked at, in one word: `disk`, `clock`. */
  readonly check: string
  readonly found: string
  /** What to do; empty where nothing is to be done. */
  readonly advice: string
}

export const ok = (check: string, found: string): Finding => ({ level: 'ok', check, found, advice: '' })

export const warn = (check: string, found: string, advice: string): Finding => ({
  level: 'warn',
  check,
  found,
  advice,
})

export const fail = (check: string, found: string, advice: string): Finding => ({
  level: 'fail',
  check,
  found,
  advice,
})

/** The graver of what holds: `fail` below or at one bound, `warn` at or below another. */
export const levelBelow = (value: number, failAt: number, warnAt: number): Level => {
  if (value < failAt) return 'fail'
  return value < warnAt ? 'warn' : 'ok'
}

/** A finding whose advice is left out where all is well. */
export const finding = (level: Level, check: string, found: string, advice: string): Finding => ({
  level,
  check,
  found,
  advice: level === 'ok' ? '' : advice,
})
