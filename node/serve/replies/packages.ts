// Packages as replies: what the document lists, and which living members say that they have it. Pure.

import type { Manifest } from '../../package/manifest.ts'
import { nameOfPackage, packageOf, pinOf } from '../../../crdt/edits-package.ts'
import { packageMark } from '../../../crdt/schema/status.ts'
import type { PackageView } from '../../../crdt/schema/view.ts'
import type { PackageContentsReply, PackageReply, PackagesReply } from '../api/contract-packages.ts'
import { asOf, nameOf, type Reading } from './reading.ts'

/** Entries of one answer: a person reads fewer, and a script asks the manifest. */
const ENTRIES_MAX = 5000

export const packagesReply = (reading: Reading): PackagesReply => ({
  asOf: asOf(reading),
  packages: (reading.snapshot.view.packages ?? [])
    .filter(({ removed }) => !removed)
    .map((view) => packageReply(reading, view)),
})

const packageReply = (reading: Reading, view: PackageView): PackageReply => {
  const { ref, digest, bytes, files, author, at } = view
  const mark = packageMark(digest)
  const present = reading.members.filter((member) => member.present)
  const saying = (kind: 'held' | 'fetching'): string[] =>
    present
      .filter(({ status }) => status?.packages?.[kind].includes(mark) === true)
      .map((member) => member.view.name)
  return {
    ref,
    name: nameOfPackage(ref),
    version: ref.slice(ref.indexOf('@') + 1),
    digest,
    bytes,
    files,
    author: nameOf(reading, author),
    at,
    source: view.source ?? null,
    holders: saying('held'),
    fetching: saying('fetching'),
    services: reading.snapshot.view.services.flatMap((service) =>
      service.package === pinOf(view) ? [service.id] : [],
    ),
  }
}

/** @throws TuttiError `unknown`. */
export const packageContentsReply = (
  reading: Reading,
  ref: string,
  manifest: Manifest,
): PackageContentsReply => ({
  asOf: asOf(reading),
  package: packageReply(reading, packageOf(reading.snapshot.view, ref)),
  entries: manifest.slice(0, ENTRIES_MAX).map((entry) => ({
    path: entry.path,
    kind: entry.kind,
    bytes: entry.kind === 'file' ? entry.bytes : 0,
    executable: entry.kind === 'file' && entry.executable,
    target: entry.kind === 'link' ? entry.target : '',
  })),
  omitted: Math.max(0, manifest.length - ENTRIES_MAX),
})
