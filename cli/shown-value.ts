// Values of the intent that are one text for programs, as people read them: what a service is pinned to, what a version of
// a package means, how a build fared, what an invitation is good for. Anything else is shown as it stands, also what a
// later version of tutti may write there. JSON output keeps the values themselves.

import { formatSize } from '../lib/time.ts'
import { counted, timeText } from './render.ts'

/** Digits of a digest that people compare. */
const DIGEST_SHOWN = 12

const PIN = /^([^@]+)@([^#]+)#([0-9a-f]{64})$/

/** @param path as edits and conflicts name it: `shop/web package`, `package api@1.4.2`. */
export const shownValue = (path: string, text: string): string => {
  if (path.endsWith(' package')) return shownPin(text)
  if (path.startsWith('package ')) return shownEntry(path.slice('package '.length), text)
  if (path.startsWith('invite ')) return shownInvite(text)
  return path.startsWith('build duty ') && path.endsWith(' outcome') ? shownOutcome(text) : text
}

/** `api@1.4.2#<digest>` → `api 1.4.2 (0123456789ab)`. */
const shownPin = (text: string): string => {
  const [, name, version, digest] = PIN.exec(text) ?? []
  return name === undefined || version === undefined || digest === undefined
    ? text
    : `${name} ${version} (${digest.slice(0, DIGEST_SHOWN)})`
}

/** What a version means → `api 1.4.2 (0123456789ab), 12 MB in 20 files`. */
const shownEntry = (ref: string, text: string): string => {
  const entry = entryOf(text)
  if (entry === null) return text
  const [name = ref, version = ''] = ref.split('@')
  const size = `${formatSize(entry.bytes)} in ${counted(entry.files, 'file')}`
  const what = `${name} ${version} (${entry.digest.slice(0, DIGEST_SHOWN)})`
  return entry.removed ? `${what}, removed` : `${what}, ${size}`
}

interface Entry {
  readonly digest: string
  readonly bytes: number
  readonly files: number
  readonly removed: boolean
}

const entryOf = (text: string): Entry | null => {
  const { digest, bytes, files, removed } = recordOf(text)
  if (typeof digest !== 'string' || typeof bytes !== 'number' || typeof files !== 'number') return null
  return { digest, bytes, files, removed: removed === true }
}

/** `119375d67f44 failed: web: its test exited with 1`. */
const shownOutcome = (text: string): string => {
  const { commit, version, kind, message } = recordOf(text)
  if (typeof commit !== 'string' || typeof kind !== 'string' || typeof message !== 'string') return text
  const what = typeof version === 'string' && version !== '' ? version : commit.slice(0, DIGEST_SHOWN)
  return `${what} ${kind}${message === '' ? '' : `: ${message}`}`
}

/** `good for 2 uses as operator until 2031-05-04T10:00:00.000Z`. */
const shownInvite = (text: string): string => {
  const { role, uses, expiresAt } = recordOf(text)
  if (typeof role !== 'string' || typeof uses !== 'number' || typeof expiresAt !== 'number') return text
  return `good for ${counted(uses, 'use')} as ${role} until ${timeText(expiresAt)}`
}

/** The fields of a JSON object; none of any other text. */
const recordOf = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
