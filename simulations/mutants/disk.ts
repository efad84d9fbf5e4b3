// Planted bugs of the disk and of what is written to it.

import type { ActorId, MemberId } from '../../lib/ids.ts'
import type { Mutant } from './mutant.ts'

export const DISK_MUTANTS: readonly Mutant[] = [
  {
    name: 'skip-fsync',
    bug: 'the disk is never synced',
    breaks: 'S2',
    composition: () => ({
      files: (files) => ({
        ...files,
        open: async (name, mode) => ({ ...(await files.open(name, mode)), sync: async () => undefined }),
      }),
    }),
  },
  {
    name: 'ack-before-durable',
    bug: 'an edit is acknowledged before it is on the disk',
    breaks: 'S2',
    patches: [
      {
        file: 'node/agent/intent-queue.ts',
        find: 'if (frames.length > 0) await store.append(',
        replace: 'if (frames.length > 0) void store.append(',
      },
    ],
  },
  {
    name: 'lose-the-tail',
    bug: 'a peer that starts again reads its snapshot and not the log after it',
    breaks: 'S2',
    patches: [
      {
        file: 'node/agent/replication.ts',
        find: 'later: intentOf(frames)',
        replace: 'later: intentOf(frames.slice(0, 0))',
      },
    ],
  },
  {
    name: 'reuse-actor',
    bug: 'a peer writes under the actor of its first start again',
    breaks: 'S3',
    composition: () => {
      const first = new Map<MemberId, ActorId>()
      return {
        newActor: (sound, member) => () => {
          const actor = first.get(member) ?? sound()
          first.set(member, actor)
          return actor
        },
      }
    },
  },
]
