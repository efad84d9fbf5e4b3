// The packages' thread, as the peer's own thread meets it: orders go there in batches, and each is a promise. The thread is
// started by the first order and ends when there has been none for a while, since it takes some megabytes, and a peer that
// fetches nothing shall not pay for it.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { ChunkOrder, ChunkWord } from './chunk-work.ts'

/** A deploy's packages come and are unpacked within one life of the thread. */
const IDLE_MS = 20_000
/** Young generation: its garbage is a few promises' worth, as the peer's own (docs/adr/0007-bundle.md). */
const YOUNG_MIB = 2
/** Of orders and words under way; chunks themselves are not in the heap. */
const HEAP_MIB = 64

/** What a frame has before a chunk's bytes is shorter. */
const HEAD_BYTES = 16

/** An order without its number. */
export type Asked = ChunkOrder extends infer Order
  ? Order extends ChunkOrder
    ? Omit<Order, 'id'>
    : never
  : never

interface Waiting {
  readonly resolve: (word: ChunkWord) => void
  readonly reject: (thrown: Error) => void
}

/** Beside the bundle it is bundled too; from source it runs as it stands. */
const threadPath = (): string => {
  const [bundled, source] = ['chunk-thread-main.js', 'chunk-thread-main.ts'].map((name) =>
    fileURLToPath(new URL(name, import.meta.url)),
  )
  return bundled !== undefined && existsSync(bundled) ? bundled : (source ?? '')
}

export class ChunkThread {
  readonly #waiting = new Map<number, Waiting>()
  #orders: ChunkOrder[] = []
  #worker: Worker | null = null
  #idle: NodeJS.Timeout | null = null
  #count = 0

  /** @throws the system's error of that call, or that the thread ended. */
  async perform(asked: Asked): Promise<ChunkWord> {
    const id = (this.#count += 1)
    const word = await new Promise<ChunkWord>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      // What is asked in one turn goes in one message.
      if (this.#orders.length === 0) setImmediate(() => this.#send())
      this.#orders.push({ ...asked, id })
    })
    if (word.kind !== 'failed') return word
    throw Object.assign(new Error(word.message), { code: word.code })
  }

  #send(): void {
    const orders = this.#orders.map(withOwnBytes)
    this.#orders = []
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#idle = null
    try {
      this.#worker ??= this.#start()
      // Nobody exits while a chunk is being written.
      this.#worker.ref()
      this.#worker.postMessage(orders, bytesOf(orders))
    } catch (thrown) {
      this.#fail(thrown instanceof Error ? thrown : new Error('the thread for packages could not be started'))
    }
  }

  #start(): Worker {
    const worker = new Worker(threadPath(), {
      name: 'packages',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB, maxOldGenerationSizeMb: HEAP_MIB },
    })
    worker.on('message', (words: readonly ChunkWord[]) => this.#hear(worker, words))
    const gone = (thrown: Error): void => {
      if (this.#worker !== worker) return
      this.#worker = null
      this.#fail(thrown)
    }
    worker.on('error', gone)
    worker.on('exit', () => gone(new Error('the thread for packages ended')))
    return worker
  }

  #hear(worker: Worker, words: readonly ChunkWord[]): void {
    for (const word of words) {
      this.#waiting.get(word.id)?.resolve(word)
      this.#waiting.delete(word.id)
    }
    if (this.#waiting.size > 0) return
    worker.unref()
    this.#idle = setTimeout(() => {
      this.#worker = null
      void worker.terminate()
    }, IDLE_MS).unref()
  }

  #fail(thrown: Error): void {
    for (const { reject } of this.#waiting.values()) reject(thrown)
    this.#waiting.clear()
  }
}

/**
 * A message copies the whole memory that its bytes are a part of, or takes it. So bytes that have memory of their own, but for the
 * head of the frame that they came in, are taken, and others are copied first.
 */
const withOwnBytes = (order: ChunkOrder): ChunkOrder => {
  if (order.kind !== 'write') return order
  const { buffer, byteOffset, length } = order.bytes
  const isOwn =
    buffer instanceof ArrayBuffer && byteOffset <= HEAD_BYTES && byteOffset + length === buffer.byteLength
  return isOwn ? order : { ...order, bytes: new Uint8Array(order.bytes) }
}

const bytesOf = (orders: readonly ChunkOrder[]): readonly ArrayBuffer[] =>
  orders.flatMap((order) =>
    order.kind === 'write' && order.bytes.buffer instanceof ArrayBuffer ? [order.bytes.buffer] : [],
  )
