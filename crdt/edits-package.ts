// Edits of packages, as pure functions of the view: a version is listed, or taken out; and what a service's reference to one
// comes to. What is on the disks of peers is not their affair.

import { TuttiError } from '../lib/errors.ts'
import { LIMITS } from '../lib/limits.ts'
import { canonicalJson, compareStrings } from '../lib/order.ts'
import type { Edit } from './edit.ts'
import { nearest } from './nearest.ts'
import type { PackageEntry } from './schema/package.ts'
import type { PackageView, View } from './schema/view.ts'

/** The name of `api@1.4.2`. */
export const nameOfPackage = (ref: string): string => ref.slice(0, ref.indexOf('@'))

const entryEdit = (ref: string, { digest, bytes, files, source, removed }: PackageEntry): Edit => ({
  container: 'packages',
  key: ref,
  value: canonicalJson({ digest, bytes, files, source, removed }),
})

/** The version of that reference that can be run. @throws TuttiError `unknown`. */
export const packageOf = (view: View, ref: string): PackageView => {
  const { packages = [] } = view
  const found = packages.find((each) => each.ref === ref)
  if (found?.removed === false) return found
  const live = packages.flatMap(({ ref, removed }) => (removed ? [] : [ref]))
  throw new TuttiError(
    'unknown',
    found === undefined
      ? `there is no package '${ref}'${nearest(ref, live) || '; push it with tutti package push'}`
      : `package '${ref}' was removed; push it again, or name another version`,
  )
}

/**
 * Lists a version. With `keep`, only so many of its name stay listed: older ones that no service runs from are taken out.
 * @throws TuttiError `conflict` when the version means another content already, `refused` when there are too many.
 */
export const putPackage = (
  view: View,
  pushed: Omit<PackageEntry, 'removed'> & { readonly ref: string },
  keep: number | null = null,
): readonly Edit[] => {
  const { packages = [] } = view
  const { ref, digest, bytes, files, source } = pushed
  const present = packages.find((each) => each.ref === ref)
  if (present !== undefined && present.digest !== digest)
    throw new TuttiError(
      'conflict',
      `'${ref}' is another content already (${present.digest.slice(0, 12)}, this one is ${digest.slice(0, 12)})${present.removed ? ', although it was removed' : ''}; choose another version`,
    )
  const listed = packages.filter(({ removed }) => !removed)
  const surplus = keep === null ? [] : surplusOf(view, listed, ref, keep)
  if (present?.removed !== false && listed.length - surplus.length >= LIMITS.packagesMax)
    throw new TuttiError(
      'refused',
      `the cluster lists ${LIMITS.packagesMax} packages, which is the most it can; remove some with tutti package rm`,
    )
  const removals = surplus.map(removalOf)
  // Written again where others wrote at the same time: whoever pushes says what shall hold.
  const isDisputed = (view.conflicts ?? []).some(({ path }) => path === `package ${ref}`)
  return present?.removed === false && !isDisputed
    ? removals
    : [entryEdit(ref, { digest, bytes, files, ...(source === undefined ? {} : { source }) }), ...removals]
}

/** Listed versions of the same name, but the newest ones and those that a service runs from. */
const surplusOf = (view: View, listed: readonly PackageView[], ref: string, keep: number): PackageView[] => {
  const used = new Set(view.services.map((service) => service.package))
  return listed
    .filter((each) => each.ref !== ref && nameOfPackage(each.ref) === nameOfPackage(ref))
    .toSorted((a, b) => b.at - a.at || compareStrings(a.ref, b.ref))
    .slice(Math.max(0, keep - 1))
    .filter((each) => !used.has(pinOf(each)))
}

/** @throws TuttiError `unknown`, or `refused` while a service runs from it. */
export const removePackage = (view: View, ref: string): readonly Edit[] => {
  const present = packageOf(view, ref)
  const user = view.services.find((service) => service.package === pinOf(present))
  if (user !== undefined)
    throw new TuttiError(
      'refused',
      `service '${user.id}' runs from '${ref}'; apply it with another package before removing this one`,
    )
  return [removalOf(present)]
}

const removalOf = ({ ref, digest, bytes, files, source }: PackageView): Edit =>
  entryEdit(ref, { digest, bytes, files, ...(source === undefined ? {} : { source }), removed: true })

/** What a service is pinned to. */
export const pinOf = ({ ref, digest }: Pick<PackageView, 'ref' | 'digest'>): string => `${ref}#${digest}`

/**
 * A service's reference with its digest: a version that is listed, or one that names its digest and was listed at some time,
 * as a rollback does. @throws TuttiError `unknown`, or `conflict` when the version is not of that digest.
 */
export const pinned = (view: View, named: string): string => {
  const [ref = '', digest] = named.split('#')
  const known = (view.packages ?? []).find((each) => each.ref === ref)
  if (digest === undefined || known === undefined) return pinOf(packageOf(view, ref))
  if (known.digest === digest) return named
  throw new TuttiError('conflict', `'${ref}' is not the content that is asked for (${digest.slice(0, 12)})`)
}
