// The only door to Automerge: a thin handle on one document of scalars in maps. It works on Automerge's backend rather
// than on its JavaScript view, since the view costs ten times as much to keep and iterates its maps in an order that
// differs between replicas. Nothing here judges a change; only changes that validate.ts accepted may come in.

import * as Automerge from '@automerge/automerge'
import type { ActorId, ChangeHash } from '../lib/ids.ts'
import type { OpId } from './change-codec.ts'
import type { Scalar } from './edit.ts'

/** A map of the document by its path from the root: `members`, `services/0f`. */
export type ContainerPath = string

export interface VisibleValue {
  readonly op: OpId
  readonly value: Scalar
}

export class AutomergeDocument {
  readonly #handle: ReturnType<typeof Automerge.getBackend>

  private constructor(handle: ReturnType<typeof Automerge.getBackend>) {
    this.#handle = handle
  }

  static empty(): AutomergeDocument {
    return new AutomergeDocument(Automerge.getBackend(Automerge.init()))
  }

  /** A document from its saved bytes. @throws when they are damaged. */
  static load(bytes: Uint8Array): AutomergeDocument {
    const document = AutomergeDocument.empty()
    document.#handle.loadIncremental(bytes)
    return document
  }

  /** The bytes of a change that makes the containers, parents before children; the op counters follow their order. */
  static containersChange(actor: ActorId, paths: readonly ContainerPath[]): Uint8Array {
    const handle = Automerge.getBackend(Automerge.init<unknown>({ actor }))
    const made = new Map<ContainerPath, string>()
    for (const path of paths) {
      const slash = path.lastIndexOf('/')
      const parent = slash < 0 ? '_root' : (made.get(path.slice(0, slash)) ?? '_root')
      made.set(path, handle.putObject(parent, path.slice(slash + 1), {}))
    }
    handle.commit('', 0)
    const bytes = handle.getLastLocalChange()
    handle.free()
    if (bytes === null || bytes === undefined) throw new TypeError('automerge made no change')
    return bytes
  }

  /** @throws when Automerge refuses; then the document is unchanged as far as Automerge promises, so copy a sound one. */
  apply(changes: readonly Uint8Array[]): void {
    this.#handle.applyChanges([...changes])
  }

  /** What is visible under a key, ascending, so the last one wins; as of `heads` where they are given. */
  visible(object: OpId, key: string, heads?: readonly ChangeHash[]): VisibleValue[] {
    const values = this.#handle.getAll(
      `${object.counter}@${object.actor}`,
      key,
      heads === undefined ? undefined : [...heads],
    )
    return values.map((value) => {
      const [counter, actor] = String(value.at(-1)).split('@')
      return { op: { counter: Number(counter), actor: actor as ActorId }, value: value[1] as Scalar }
    })
  }

  heads(): ChangeHash[] {
    return this.#handle.getHeads() as ChangeHash[]
  }

  save(): Uint8Array {
    return this.#handle.save()
  }

  copy(): AutomergeDocument {
    return new AutomergeDocument(this.#handle.fork())
  }

  /** WASM memory is not collected in time otherwise; the document is unusable afterwards. */
  free(): void {
    this.#handle.free()
  }
}
