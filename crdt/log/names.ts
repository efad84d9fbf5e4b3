// Names of the store's files. Log segments and snapshots share one numbering: snapshot N covers every segment below N,
// and segment N begins where it ends.

/** Eight digits: a directory listing then sorts as the numbers do, for a snapshot a second for three years. */
const DIGITS = 8

export type StoreFileKind = 'log' | 'snapshot'

export interface StoreFile {
  readonly kind: StoreFileKind
  readonly number: number
}

export const fileNameOf = (kind: StoreFileKind, number: number): string =>
  `${kind}-${String(number).padStart(DIGITS, '0')}`

/** A file that is still being written: it gets its name once it is whole and durable. A leftover one is of no use. */
export const draftNameOf = (name: string): string => `${name}${DRAFT}`

const DRAFT = '.tmp'

export const isDraft = (name: string): boolean =>
  name.endsWith(DRAFT) && storeFileOf(name.slice(0, -DRAFT.length)) !== null

/** What a name in the directory stands for; null for files that are none of ours. */
export const storeFileOf = (name: string): StoreFile | null => {
  const match = /^(log|snapshot)-(\d{8,15})$/.exec(name)
  if (match === null) return null
  const number = Number(match[2])
  const kind = match[1] === 'log' ? 'log' : 'snapshot'
  return fileNameOf(kind, number) === name && number > 0 ? { kind, number } : null
}
