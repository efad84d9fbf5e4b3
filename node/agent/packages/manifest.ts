// Asks members for a package's manifest and takes no other for it.

import { concatBytes } from '../../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../../lib/errors.ts'
import type { MemberId, PackageDigest } from '../../../lib/ids.ts'
import { LIMITS } from '../../../lib/limits.ts'
import type { Log } from '../../../lib/log.ts'
import { decodeManifest, digestOfManifest, type Manifest } from '../../package/manifest.ts'
import type { AgentPort } from '../../ports.ts'
import { encodePackageQuestion } from './wire.ts'

/** @throws TuttiError `invalid` or `too-large` when the member lies, else as AgentPort.ask. */
export const manifestFrom = async (
  ask: AgentPort['ask'],
  member: MemberId,
  digest: PackageDigest,
  signal: AbortSignal,
): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of ask(member, 'package-manifest', encodePackageQuestion(digest), signal)) {
    length += part.length
    if (length > LIMITS.manifestBytesMax) throw new TuttiError('too-large', 'a manifest is too large')
    parts.push(part)
  }
  const bytes = concatBytes(parts)
  if (digestOfManifest(bytes) === digest) return bytes
  throw new TuttiError('invalid', 'a manifest is not what its digest says')
}

/** From the first of some members that gives it. @throws TuttiError `unreachable`. */
export const manifestFromAny = async (
  ask: AgentPort['ask'],
  members: readonly MemberId[],
  digest: PackageDigest,
  signal: AbortSignal,
  log: Log,
): Promise<Manifest> => {
  for (const member of members) {
    try {
      return decodeManifest(await manifestFrom(ask, member, digest, signal))
    } catch (thrown) {
      log.log('debug', 'a member did not give a manifest', { member, reason: messageOf(thrown) })
    }
  }
  throw new TuttiError('unreachable', 'no member that is there has the package; see tutti package ls')
}
