// The packages of a release on their way to the cluster: as operations that list them, and as what must be on the peers
// before that. Contents that are the same are brought once, under however many names they go.

import type { CellSpec } from '../../crdt/schema/service.ts'
import type { Operation } from '../../node/serve/api/contract.ts'
import type { Client } from '../client.ts'
import { automaticName, packCell, VERSIONS_KEPT } from '../package/automatic.ts'
import type { Packed } from '../package/pack.ts'
import { listing, pushPacked } from '../package/push.ts'
import type { MadeRelease } from './make-release.ts'

/** A release as the cluster is to have it. */
export interface PackedRelease {
  /** Every service with the reference of its package. */
  readonly cell: CellSpec
  /** References of built packages, by service. */
  readonly refs: ReadonlyMap<string, string>
  /** Each content once, by the first reference that it goes under. */
  readonly contents: ReadonlyMap<string, Packed>
  /** Lists the packages; to go before the cell into the same change. */
  readonly operations: readonly Operation[]
}

/** As PackageSource bounds it. */
const AUTHOR_LENGTH_MAX = 200

/** Sends nothing. @throws TuttiError as packing the directories does that the file names. */
export const packRelease = async (made: MadeRelease): Promise<PackedRelease> => {
  const { revision, file, present, artifacts } = made
  const { commit, author, at, version } = revision
  const source = { commit, author: author.slice(0, AUTHOR_LENGTH_MAX), at }
  // What the file names as a directory is packed as it is committed.
  const named = await packCell(file)
  const refs = new Map(present)
  const operations = [...named.operations]
  const contents = new Map(named.packages)
  const known = new Set([...contents.values()].map(({ digest }) => digest))
  for (const [service, packed] of artifacts) {
    const ref = `${automaticName(file.cell.name, service)}@${version}`
    refs.set(service, ref)
    if (!known.has(packed.digest)) contents.set(ref, packed)
    known.add(packed.digest)
    operations.push(listing(ref, packed, VERSIONS_KEPT, source))
  }
  const services = named.cell.services.map((service) => ({
    ...service,
    package: refs.get(service.name) ?? service.package,
  }))
  return { cell: { ...named.cell, services }, refs, contents, operations }
}

/** Brings the contents to the peers. @throws TuttiError as pushing does. */
export const pushRelease = async (
  client: Client,
  { contents }: PackedRelease,
  tell: (ref: string, words: string) => void,
): Promise<void> => {
  for (const [ref, packed] of contents) {
    const { holders } = await pushPacked(client, packed, {
      ref: () => ref,
      copies: null,
      keep: VERSIONS_KEPT,
      tell: (words) => tell(ref, words),
    })
    tell(ref, `is on ${holders.join(', ')}`)
  }
}
