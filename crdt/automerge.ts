// The only door to Automerge: a thin handle on one document of scalars in maps. It works on Automerge's backend rather
// than on its JavaScript view, since the view costs ten times as much to keep and iterates its maps in an order that
// differs between replicas. Nothing here judges a change; only changes that validate.ts accepted may come in.

import * as Automerge from '@automerge/automerge'
import { sha256Hex } from '../lib/hash.ts'
import type { ActorId, ChangeHash } from '../lib/ids.ts'
import type { OpId } from './change-codec.ts'
import type { Scalar } from './edit.ts'

/** A map of the document by its path from the root: `members`, `services/0f`. */
export type ContainerPath = string

export interface VisibleValue {
  readonly op: OpId
  readonly value: Scalar
}

type Handle = ReturnType<typeof Automerge.getBackend>

/** A document that nobody changes: those that follow it by one change are found by that change's hash, and made once. */
interface SharedState {
  readonly handle: Handle
  readonly next: Map<string, SharedState>
  /** What was visible in it, by object and key. */
  readonly seen: Map<string, VisibleValue[]>
}

const sharedState = (handle: Handle): SharedState => ({ handle, next: new Map(), seen: new Map() })

let sharedEmpty: SharedState | null = null

/**
 * From now on documents that hold the same changes are one in this process, for a simulation: a change is applied once for all
 * peers that have the same before it, and the two documents of each of very many would not fit into one WebAssembly memory.
 * Those that were shared until now are freed: nobody may use them any more. @default false
 */
export const shareDocuments = (share: boolean): void => {
  if (sharedEmpty !== null) release(sharedEmpty)
  sharedEmpty = share ? sharedState(Automerge.getBackend(Automerge.init())) : null
}

const release = (first: SharedState): void => {
  const left = [first]
  for (let state = left.pop(); state !== undefined; state = left.pop()) {
    left.push(...state.next.values())
    state.handle.free()
  }
}

/** Of bytes that nobody changes, and that all peers are given: a record's. */
const hashes = new WeakMap<Uint8Array, string>()

const hashOf = (change: Uint8Array): string => {
  const known = hashes.get(change)
  if (known !== undefined) return known
  const hash = sha256Hex(change)
  hashes.set(change, hash)
  return hash
}

const follow = (state: SharedState, change: Uint8Array): SharedState => {
  const hash = hashOf(change)
  const known = state.next.get(hash)
  if (known !== undefined) return known
  const handle = state.handle.fork()
  handle.applyChanges([change])
  const next = sharedState(handle)
  state.next.set(hash, next)
  return next
}

export class AutomergeDocument {
  #handle: Handle
  #shared: SharedState | null

  private constructor(handle: Handle, shared: SharedState | null = null) {
    this.#handle = handle
    this.#shared = shared
  }

  static empty(): AutomergeDocument {
    return sharedEmpty === null
      ? new AutomergeDocument(Automerge.getBackend(Automerge.init()))
      : new AutomergeDocument(sharedEmpty.handle, sharedEmpty)
  }

  /** A document from its saved bytes. @throws when they are damaged. */
  static load(bytes: Uint8Array): AutomergeDocument {
    const document = new AutomergeDocument(Automerge.getBackend(Automerge.init()))
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
    if (this.#shared === null) this.#handle.applyChanges([...changes])
    else {
      this.#shared = changes.reduce(follow, this.#shared)
      this.#handle = this.#shared.handle
    }
  }

  /** What is visible under a key, ascending, so the last one wins; as of `heads` where they are given. */
  visible(object: OpId, key: string, heads?: readonly ChangeHash[]): VisibleValue[] {
    if (this.#shared === null || heads !== undefined) return this.#look(object, key, heads)
    const { seen } = this.#shared
    const place = `${object.counter}@${object.actor} ${key}`
    const known = seen.get(place) ?? this.#look(object, key)
    seen.set(place, known)
    return known
  }

  #look(object: OpId, key: string, heads?: readonly ChangeHash[]): VisibleValue[] {
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
    return this.#shared === null
      ? new AutomergeDocument(this.#handle.fork())
      : new AutomergeDocument(this.#handle, this.#shared)
  }

  /** WASM memory is not collected in time otherwise; the document is unusable afterwards. */
  free(): void {
    if (this.#shared === null) this.#handle.free()
  }
}
