// Packages that `apply` pushes by itself, for services whose file names a directory: how they are called, and how a cell is
// completed with them. The version is the content's own digest, so the same content is the same version, whoever applies it.

import { sha256Hex } from '../../lib/hash.ts'
import type { CellSpec } from '../../crdt/schema/service.ts'
import type { Operation } from '../../node/serve/api/contract.ts'
import type { CellFile } from '../cell-file/read.ts'
import type { Client } from '../client.ts'
import { packDirectory, type Packed } from './pack.ts'
import { listing, pushPacked } from './push.ts'

/** Versions that `apply` and `release` listed and that stay: as far back as anybody rolls back, with room. */
export const VERSIONS_KEPT = 20
const NAME_CHARACTERS_MAX = 63
const VERSION_CHARACTERS = 12
const HASH_CHARACTERS = 8

/** The name under which a service's directory is pushed: at most 63 characters, different for different services. */
export const automaticName = (cell: string, service: string): string => {
  const name = `${cell}-${service}`
  if (name.length <= NAME_CHARACTERS_MAX) return name
  const hash = sha256Hex(name).slice(0, HASH_CHARACTERS)
  return `${name.slice(0, NAME_CHARACTERS_MAX - HASH_CHARACTERS - 1)}-${hash}`
}

/** A cell with every directory packed. */
export interface PackedCell {
  /** How messages call its file. */
  readonly shown: string
  readonly cell: CellSpec
  /** By reference. */
  readonly packages: ReadonlyMap<string, Packed>
  /** Lists the packages; to go before the cell into the same change. */
  readonly operations: readonly Operation[]
}

/** Packs the directories that a cell file names. Sends nothing. @throws TuttiError as packing does. */
export const packCell = async ({ shown, cell, packages: directories }: CellFile): Promise<PackedCell> => {
  const packages = new Map<string, Packed>()
  const refs = new Map<string, string>()
  for (const [service, directory] of directories) {
    const packed = await packDirectory(directory)
    const ref = `${automaticName(cell.name, service)}@${packed.digest.slice(0, VERSION_CHARACTERS)}`
    packages.set(ref, packed)
    refs.set(service, ref)
  }
  return {
    shown,
    cell: {
      ...cell,
      services: cell.services.map((service) => ({
        ...service,
        package: refs.get(service.name) ?? service.package,
      })),
    },
    packages,
    operations: [...packages].map(([ref, packed]) => listing(ref, packed, VERSIONS_KEPT)),
  }
}

/** Pushes them. @throws TuttiError as pushing does. */
export const pushCell = async (
  client: Client,
  { packages }: PackedCell,
  tell: (ref: string, words: string) => void,
): Promise<void> => {
  for (const [ref, packed] of packages) {
    const { sentBytes, holders } = await pushPacked(client, packed, {
      ref: () => ref,
      copies: null,
      keep: VERSIONS_KEPT,
      tell: (words) => tell(ref, words),
    })
    tell(ref, sentBytes === 0 ? `was there already, on ${holders.join(', ')}` : `is on ${holders.join(', ')}`)
  }
}
