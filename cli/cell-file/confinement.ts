// What of a service says how its processes are held: `user`, `isolation`, `ulimits`. The limits of memory, CPU and
// processes are deploy.ts's. Whether a peer has the user, or can isolate, the peers alone know.

import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import { USER_PATTERN } from '../../crdt/schema/patterns.ts'
import { ULIMIT_KEYS, ULIMIT_PAIR_KEYS } from './keys.ts'
import type { Reader, Section } from './reader.ts'

const USER = new RegExp(USER_PATTERN)
// Three are open before a program has opened any; the kernel's own ceiling (fs.nr_open) is at most this.
const OPEN_FILES_MIN = 3
const OPEN_FILES_MAX = 2 ** 30

/** `user: www`, `user: "1000:1000"`. */
export const readUser = (reader: Reader, section: Section): string | null => {
  const path = section.pathOf('user')
  const text = reader.text(section.get('user'), path)
  if (text === undefined) return null
  if (USER.test(text.text)) return text.text
  reader.problems.invalid(text, `${path}: '${text.text}' is not a user; write NAME, UID or UID:GID`)
  return null
}

/** `isolation: sandbox`; Compose's `default` is what a machine does by itself, which is none. */
export const readIsolation = (reader: Reader, section: Section): ServiceSpec['isolation'] => {
  const choices = ['none', 'sandbox', 'default'] as const
  const choice = reader.choice(section.get('isolation'), section.pathOf('isolation'), choices)
  return choice === 'sandbox' ? 'sandbox' : SERVICE_DEFAULTS.isolation
}

/** `ulimits: { nofile: 1024 }` or `nofile: { soft: 1024, hard: 4096 }`, of which the hard one counts. */
export const readOpenFiles = (reader: Reader, section: Section): number | null => {
  const ulimits = reader.section(section.get('ulimits'), section.pathOf('ulimits'), ULIMIT_KEYS)
  const tree = ulimits.get('nofile')
  const path = ulimits.pathOf('nofile')
  if (tree?.kind !== 'map') return reader.integer(tree, path, OPEN_FILES_MIN, OPEN_FILES_MAX) ?? null
  const pair = reader.section(tree, path, ULIMIT_PAIR_KEYS)
  const amount = (key: string): number | undefined =>
    reader.integer(pair.get(key), pair.pathOf(key), OPEN_FILES_MIN, OPEN_FILES_MAX)
  const [soft, hard] = [amount('soft'), amount('hard')]
  if (soft !== undefined && hard !== undefined && soft !== hard)
    reader.problems.warn(tree, `${path}: the hard limit of ${hard} is used for both`)
  return hard ?? soft ?? null
}
