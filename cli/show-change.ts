// A change as people read it before they say yes: field by field, then slot by slot what would start, stop, move or be
// replaced. Used by plan, apply and every command that edits.

import { unreachable } from '../lib/assert.ts'
import { formatDuration } from '../lib/time.ts'
import type { ChangeReply } from '../node/serve/api/contract.ts'
import type { Sink } from './io.ts'
import { counted, fitted, harmless, type Colour, type Paint } from './render.ts'
import { shownValue } from './shown-value.ts'

type Edit = ChangeReply['edits'][number]
type SlotChange = ChangeReply['slots'][number]

/** Whether the change would do anything at all. */
export const isEmptyChange = (change: ChangeReply): boolean =>
  change.edits.length === 0 && change.slots.length === 0

/** The plan as text, each line ended; empty for an empty change. */
export const showChange = (change: ChangeReply, sink: Sink, paint: Paint): string => {
  const lines = [...editLines(change.edits, sink, paint)]
  if (change.slots.length > 0) lines.push(paint('bold', 'slots'))
  for (const slot of change.slots) lines.push(slotLine(slot, paint))
  return lines.map((line) => `${line}\n`).join('')
}

/** Edits field by field under the name of what they are about. */
export const editLines = (edits: readonly Edit[], sink: Sink, paint: Paint): readonly string[] => {
  const lines: string[] = []
  let subject = ''
  for (const edit of edits) {
    const [head, field] = splitPath(edit.path)
    if (head !== subject) lines.push(paint('bold', harmless(head)))
    subject = head
    lines.push(editLine(edit, field, sink, paint))
  }
  return lines
}

/** `shop/web replicas` → its subject and its field. */
const splitPath = (path: string): readonly [string, string] => {
  // A peer is named by two words, a build duty by three.
  const kind = /^(peer|invite|package|build duty) /.exec(path)?.[0] ?? ''
  const space = path.indexOf(' ', kind.length)
  return space < 0 ? [path, ''] : [path.slice(0, space), path.slice(space + 1)]
}

const editLine = ({ path, from, to }: Edit, field: string, sink: Sink, paint: Paint): string => {
  // On a terminal a long value (a command, a certificate) keeps to its line; piped, nothing is cut.
  const columns = sink.isTerminal
    ? Math.max(16, Math.floor((sink.columns - field.length - 12) / 2))
    : Infinity
  const value = (text: string): string => fitted(harmless(shownValue(path, text)), columns)
  // Its value is a random word; that it changes is all there is to say.
  if (field === 'restartToken') return paint('yellow', '  ~ restarted')
  const words = rolloutWords(field, to)
  if (words !== null) return paint('yellow', `  ~ ${value(words)}`)
  const name = field === '' ? '' : `${harmless(field)}: `
  if (from === null && to === null) return `  ~ ${name}`
  if (from === null) return paint('green', `  + ${name}${value(to ?? '')}`)
  if (to === null) return paint('red', `  - ${name}${value(from)}`)
  return paint('yellow', `  ~ ${name}${value(from)} → ${value(to)}`)
}

const REJECTED = 'rejected.'

/** What an operator's word on a rollout, or a release taken back, is in words; null: it is another field. */
const rolloutWords = (field: string, to: string | null): string | null => {
  if (field !== 'rollout' && !field.startsWith(REJECTED)) return null
  const release = field.slice(REJECTED.length)
  if (to === null) return field === 'rollout' ? null : `release ${release} is not rejected any more`
  const said = recordOf(to)
  if (said === null) return null
  if (field === 'rollout') return `rollout of release ${said['release']}: ${said['kind']}`
  return `release ${release} is rejected (${said['reason']}), back to ${said['to']}`
}

/** A map of texts and numbers; null: it is none. */
const recordOf = (text: string): Readonly<Record<string, string>> | null => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return null
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, String(each)]))
  } catch {
    return null
  }
}

/** One slot's change as one line. */
export const slotLine = ({ slot, kind, from, to, reason }: SlotChange, paint: Paint): string => {
  const [sign, colour, words] = wordsOf(kind, from ?? '?', to ?? '?')
  const why = reason === '' ? '' : paint('dim', ` (${harmless(reason)})`)
  return `${paint(colour, `  ${sign} ${harmless(slot)} ${harmless(words)}`)}${why}`
}

const wordsOf = (kind: SlotChange['kind'], from: string, to: string): readonly [string, Colour, string] => {
  switch (kind) {
    case 'start':
      return ['+', 'green', `starts on ${to}`]
    case 'stop':
      return ['-', 'red', `stops on ${from}`]
    case 'move':
      return ['→', 'yellow', `moves from ${from} to ${to}`]
    case 'replace':
      return ['~', 'yellow', `is replaced on ${to}`]
    case 'unplaceable':
      return ['!', 'red', 'can be placed nowhere']
    default:
      return unreachable(kind)
  }
}

/** `takes 6s at least: shop/web 3 turns of 1, each 2s to prove itself`; empty: at once, or an earlier version. */
const durationOf = ({ duration }: ChangeReply): string => {
  if (duration === undefined || duration.leastMs === 0) return ''
  const slowest = duration.services.slice(0, SLOWEST_SHOWN_MAX)
  const parts = slowest.map(({ service, reason }) => `${harmless(service)} ${harmless(reason)}`)
  return `takes ${formatDuration(duration.leastMs)} at least: ${parts.join('; ')}`
}

/** The others are faster. */
const SLOWEST_SHOWN_MAX = 1

/** `3 fields, 2 slots start, 1 moves`. */
export const summaryOf = (change: ChangeReply): string => {
  const parts = change.edits.length === 0 ? [] : [counted(change.edits.length, 'field')]
  for (const [kind, verb] of [
    ['start', 'to start'],
    ['replace', 'to replace'],
    ['move', 'to move'],
    ['stop', 'to stop'],
    ['unplaceable', 'without a place'],
  ] as const) {
    const count = change.slots.filter((slot) => slot.kind === kind).length
    if (count > 0) parts.push(`${counted(count, 'slot')} ${verb}`)
  }
  const took = durationOf(change)
  return [parts.join(', '), ...(took === '' ? [] : [took])].join('\n')
}
