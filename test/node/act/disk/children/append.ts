// A process for log-store.test.ts: appends numbered records to the store in argv[2] and prints each number once it is
// acknowledged, writing a snapshot now and then, until it is killed. 5,000 records bound it should nobody do so.

import { DiskStore } from '../../../../../node/act/disk/log-store.ts'
import { textOf, utf8 } from '../../../../../lib/bytes.ts'
import type { Loaded } from '../../../../../crdt/store.ts'

const numbersOf = (loaded: Loaded): readonly string[] => [
  ...(loaded.snapshot === null ? [] : textOf(loaded.snapshot.document).split(' ')),
  ...loaded.frames.map(({ bytes }) => textOf(bytes).trimEnd()),
]

const store = new DiskStore(process.argv[2] ?? '')
const acknowledged = [...numbersOf(await store.load())].filter((text) => text !== '')
const first = Math.max(0, ...acknowledged.map((text) => Number(text) + 1))

const append = async (number: number): Promise<void> => {
  // Padded, so that groups span pages.
  await store.append([{ kind: 'intent', bytes: utf8(`${number}`.padEnd(600)) }])
  acknowledged.push(`${number}`)
  process.stdout.write(`${number}\n`)
}

for (let number = first; number < first + 5000; number += 5) {
  await Promise.all([0, 1, 2, 3, 4].map((offset) => append(number + offset)))
  if (number % 50 === 0) void store.writeSnapshot({ document: utf8(acknowledged.join(' ')), frames: [] })
}
