// Values about packages as people read them: what a service is pinned to, and what a version means. Anything else is shown as it
// stands, also what a later version of tutti may write there. JSON output keeps the values themselves.

import { formatSize } from '../../lib/time.ts'

/** Digits of a digest that people compare. */
const DIGEST_SHOWN = 12

const PIN = /^([^@]+)@([^#]+)#([0-9a-f]{64})$/

/** @param path as edits and conflicts name it: `shop/web package`, `package api@1.4.2`. */
export const shownValue = (path: string, text: string): string => {
  if (path.endsWith(' package')) return shownPin(text)
  return path.startsWith('package ') ? shownEntry(path.slice('package '.length), text) : text
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
  const size = `${formatSize(entry.bytes)} in ${entry.files} ${entry.files === 1 ? 'file' : 'files'}`
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
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return null
    const { digest, bytes, files, removed } = value as Readonly<Record<string, unknown>>
    if (typeof digest !== 'string' || typeof bytes !== 'number' || typeof files !== 'number') return null
    return { digest, bytes, files, removed: removed === true }
  } catch {
    return null
  }
}
