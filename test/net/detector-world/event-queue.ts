// The one clock of a simulated world, and what is due on it: a heap ordered by time, then by the order of asking, so that
// a run is the same every time.

interface Queued {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

const isBefore = (a: Queued, b: Queued): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

export class EventQueue {
  #nowMs = 0
  #order = 0
  readonly #heap: Queued[] = []

  get nowMs(): number {
    return this.#nowMs
  }

  later(delayMs: number, run: () => void): void {
    const item = { atMs: this.#nowMs + delayMs, order: (this.#order += 1), run }
    const heap = this.#heap
    heap.push(item)
    let at = heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, item)) break
      heap[at] = above
      heap[parent] = item
      at = parent
    }
  }

  every(intervalMs: number, run: () => void): void {
    this.later(intervalMs, () => {
      run()
      this.every(intervalMs, run)
    })
  }

  /** Lets time pass: what falls due meanwhile runs at its time. */
  run(durationMs: number): void {
    const endMs = this.#nowMs + durationMs
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > endMs) break
      this.#pop()
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = endMs
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const one = heap[child]
        const other = heap[least]
        if (one !== undefined && other !== undefined && isBefore(one, other)) least = child
      }
      if (least === at) return
      const moved = heap[least]
      const here = heap[at]
      if (moved === undefined || here === undefined) return
      heap[at] = moved
      heap[least] = here
      at = least
    }
  }
}
