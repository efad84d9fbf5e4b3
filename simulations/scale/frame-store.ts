// The store of one machine in a scale run: frames are kept by reference. A thousand simulated disks that each hold the log of
// everybody's statuses would be what the run measures. What a disk loses and how slow it is are other simulations' concern
// (disk.ts), and so are snapshots: there is never one, since nothing here ever counts as appended.

import type { Frame, Store } from '../../crdt/store.ts'

export class FrameStore implements Store {
  readonly #frames: Frame[]
  readonly appendedBytes = 0

  /** @param frames what it holds from the start. */
  constructor(frames: readonly Frame[] = []) {
    this.#frames = [...frames]
  }

  /** Everything appended so far. */
  get frames(): readonly Frame[] {
    return this.#frames
  }

  load(): ReturnType<Store['load']> {
    return Promise.resolve({ snapshot: null, frames: [...this.#frames], damage: null })
  }

  /** What others say of themselves is not kept: these machines never start again. */
  append(frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) if (frame.kind === 'intent') this.#frames.push(frame)
    return Promise.resolve()
  }

  writeSnapshot(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
