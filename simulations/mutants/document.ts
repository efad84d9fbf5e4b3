// Planted bugs of the document: what a peer accepts, keeps and makes of the changes and statuses of others.

import type { Mutant } from './mutant.ts'

export const DOCUMENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'last-come-wins',
    bug: 'of concurrent writes the one that arrived last wins',
    breaks: 'S1',
    patches: [
      {
        file: 'crdt/registers.ts',
        find: '[...kept, write].sort((a, b) => compareOps(a.op, b.op))',
        replace: '[...kept, write].filter(() => compareOps)',
      },
    ],
  },
  {
    name: 'view-unsorted',
    bug: 'the view lists services in the order in which they arrived',
    breaks: 'S1',
    patches: [
      {
        file: 'crdt/view.ts',
        find: 'const derived = [...this.#services].sort(([a], [b]) => compareStrings(a, b))',
        replace: 'const derived = [...this.#services]; void compareStrings',
      },
    ],
  },
  {
    name: 'accept-unsigned',
    bug: 'the signature of a change is not verified',
    breaks: 'S4',
    patches: [
      {
        file: 'crdt/replica.ts',
        find: 'if (!trusted && !recordIsAuthentic(this.#cluster, record))',
        replace: 'if (!trusted && !recordIsAuthentic(this.#cluster, record) && false)',
      },
    ],
  },
  {
    name: 'skip-membership',
    bug: 'whoever signs a change well may make it, member or not',
    breaks: 'S4',
    patches: [
      {
        file: 'crdt/validate.ts',
        find: 'if (!founding && !membership.operators(past).has(record.author))',
        replace: 'if (!founding && !membership.operators(past).has(record.author) && false)',
      },
    ],
  },
  {
    name: 'accept-unsigned-status',
    bug: 'the signature of a status is not verified',
    breaks: 'S4',
    patches: [
      {
        file: 'crdt/status-record.ts',
        find: 'if (!verifySignature(record.member, concatBytes([DOMAIN, body]), signature))',
        replace: 'if (!verifySignature(record.member, concatBytes([DOMAIN, body]), signature) && false)',
      },
    ],
  },
  {
    name: 'forward-unjudged',
    bug: 'gossip is passed on whatever it is',
    breaks: 'S4',
    patches: [
      {
        file: 'node/agent/replication.ts',
        find: "if (verdict === 'reject') this.#options.counters.add('gossipRejected')\n    return verdict",
        replace:
          "if (verdict === 'reject') this.#options.counters.add('gossipRejected')\n    return 'accept'",
      },
    ],
  },
  {
    name: 'drop-tombstone',
    bug: 'a deletion is forgotten, and its generation given out again',
    breaks: 'S11',
    patches: [
      {
        file: 'crdt/edits.ts',
        find: 'generationOf(view, id) + 1',
        replace: 'Math.max(1, generationOf(view, id))',
      },
      {
        file: 'crdt/validate.ts',
        find: ': next.generation === generation + 1',
        replace: ': next.generation === generation + 1 || next.generation === generation',
      },
      {
        file: 'crdt/fields.ts',
        find: 'life.generation * 2 + (life.gone ? 1 : 0)',
        replace: 'life.generation * 2 + (life.gone ? 0 : 1)',
      },
    ],
  },
  {
    name: 'keep-statuses',
    bug: 'what a removed member said of itself is kept for ever',
    breaks: 'S14',
    patches: [
      {
        file: 'crdt/status-map.ts',
        find: 'if (member === this.#signer.member || members.has(member)) continue',
        replace: 'if (this.#logs.size > 0) continue',
      },
    ],
  },
  {
    name: 'no-rounds',
    bug: 'anti-entropy runs when a connection comes up and never again',
    breaks: 'L1',
    patches: [
      {
        file: 'node/agent.ts',
        find: '  #tick(): void {\n    this.#replication.tick()\n',
        replace: '  #tick(): void {\n',
      },
    ],
  },
  {
    name: 'strict-statuses',
    bug: 'what a newer version says of itself is refused for one unknown field',
    breaks: 'L2',
    patches: [
      {
        file: 'crdt/status-decode.ts',
        find: 'return Object.fromEntries(Object.entries(value).filter(([name]) => known.has(name)))',
        replace: 'return undefined as never; void Object.fromEntries',
      },
    ],
  },
  {
    name: 'write-the-unreadable',
    bug: 'an edit is taken although an older member cannot read it',
    breaks: 'S4',
    patches: [
      {
        file: 'node/agent/readers.ts',
        find: 'if (demands.length === 0) return',
        replace: 'if (demands.length >= 0) return',
      },
    ],
  },
  {
    name: 'large-values',
    bug: 'values of changes may be twice as large',
    breaks: 'S4',
    patches: [
      { file: 'lib/limits.ts', find: 'valueBytesMax: 32 * 1024', replace: 'valueBytesMax: 64 * 1024' },
    ],
  },
]
