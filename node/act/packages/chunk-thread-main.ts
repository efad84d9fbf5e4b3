// The packages' thread: takes orders in batches, does them one after the other, and answers with a batch. See chunk-work.ts for
// what an order is and chunk-thread.ts for who gives them.

import { parentPort } from 'node:worker_threads'
import { performOrder, type ChunkOrder, type ChunkWord } from './chunk-work.ts'

/** Answered at once: enough that a message is no cost, and few enough that the first is not waited for. */
const WORDS_MAX = 8

parentPort?.on('message', (orders: readonly ChunkOrder[]) => {
  for (let at = 0; at < orders.length; at += WORDS_MAX) {
    const words = orders.slice(at, at + WORDS_MAX).map(performOrder)
    parentPort?.postMessage(words, bytesOf(words))
  }
})

/** Handed over, not copied. */
const bytesOf = (words: readonly ChunkWord[]): readonly ArrayBuffer[] =>
  words.flatMap((word) => (word.kind === 'read' ? [word.bytes.buffer] : []))
