// A cut: says once that something is to end now. It is what an AbortSignal is, for probes: a thousand of them start and end
// every few seconds, and the controllers, signals and event listeners were a third of their cost.

/** Ends what waits for it, once. */
export class Cut {
  readonly #listeners = new Set<() => void>()
  #isMade = false

  get isMade(): boolean {
    return this.#isMade
  }

  /** Calls everybody who waits, in order of arrival; those who come later are called at once. */
  now(): void {
    if (this.#isMade) return
    this.#isMade = true
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  /** Calls once it is made. Returns the one that forgets the call. */
  whenMade(listener: () => void): () => void {
    if (this.#isMade) {
      queueMicrotask(listener)
      return () => undefined
    }
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
}
