// The route that changes the cluster: one request, one atomic change, or, dry, one answer to what it would do.

import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { requireDigest } from '../../../../crdt/condition.ts'
import type { View } from '../../../../crdt/schema/view.ts'
import { TuttiError } from '../../../../lib/errors.ts'
import type { PackageDigest } from '../../../../lib/ids.ts'
import { measure } from '../../../package/manifest.ts'
import { forecastView } from '../../../plan/forecast.ts'
import { leastDuration } from '../../../plan/least-duration.ts'
import type { PlacementMemo } from '../../../plan/placement.ts'
import type { EditResult } from '../../../ports.ts'
import { asOf, nameOf, type Reading } from '../../replies/reading.ts'
import { prepareChange, type PreparedChange } from '../changes.ts'
import type { ApiContext } from '../context.ts'
import { inTime, WRITE_MS } from '../deadline.ts'
import { described } from '../described.ts'
import { ChangeReply, ChangeRequest, ROUTES, type Operation } from '../contract.ts'
import { packagesIn } from './packages.ts'

export const changeRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.post<{ Body: ChangeRequest }>(
    ROUTES.changes,
    {
      schema: described({
        summary: 'Changes the cluster, all operations in one atomic change',
        description:
          'Answers when the change is on the disk of this peer (`accepted: local`); it spreads from there. With `dry`, nothing is changed and the answer says what it would do. Peers are meant by name or id.',
        tag: 'writes',
        body: ChangeRequest,
        reply: ChangeReply,
      }),
    },
    async ({ body }): Promise<ChangeReply> => {
      const before = context.reading()
      const { snapshot } = before
      // Before anything is worked out; the queue asks again at the moment of the change.
      requireDigest(snapshot.view.digest, body)
      const makers = { preview: context.preview, token: randomUUID, past: context.agent.past }
      const prepared = prepareChange(snapshot, body, makers)
      const { edits } = prepared
      // Edits that change nothing are for the replica to recognize: one that says nothing new may still settle a conflict.
      if (body.dry === true || edits.length === 0) {
        const after = context.preview(edits)
        return replyOf(before, context.memo, prepared, {
          change: null,
          digest: snapshot.view.digest,
          view: after,
        })
      }
      for (const operation of body.operations) await requirePushed(context, operation)
      const meta = { message: prepared.message, at: Math.max(0, Math.floor(snapshot.wall)) }
      // Made first and told after: what it does to every slot is worked out while it is on its way to the others.
      return replyOf(
        before,
        context.memo,
        prepared,
        await inTime(context.agent.edit(edits, meta, body), WRITE_MS),
      )
    },
  )
}

/** What is listed must be there: nobody could run what nobody has. @throws TuttiError `conflict`, `invalid`. */
const requirePushed = async (context: ApiContext, operation: Operation): Promise<void> => {
  if (operation.kind !== 'put-package') return
  const packages = packagesIn(context)
  const digest = operation.digest as PackageDigest
  if (!packages.holds(digest))
    throw new TuttiError(
      'conflict',
      `package '${operation.ref}' has not been pushed to this peer; push it first`,
    )
  const { bytes, files } = measure(await packages.contents(digest, context.closing))
  if (bytes !== operation.bytes || files !== operation.files)
    throw new TuttiError('invalid', `package '${operation.ref}' is not as large as the operation says`)
}

/** Services that are wanted at another release than before. */
const releasesBetween = (before: View, after: View): Record<string, string> => {
  const earlier = new Map(before.services.map(({ id, release }) => [id, release]))
  return Object.fromEntries(
    after.services.flatMap(({ id, release }) => (earlier.get(id) === release ? [] : [[id, release]])),
  )
}

const replyOf = (
  reading: Reading,
  memo: PlacementMemo,
  { described: edits }: PreparedChange,
  { change, digest, view }: EditResult,
): ChangeReply => {
  const { slots, warnings } = forecastView(reading.snapshot, view, { memo, before: reading.placements })
  const { leastMs, services } = leastDuration(slots, view)
  return {
    asOf: asOf(reading),
    change,
    digest,
    accepted: 'local',
    edits: edits.map(({ path, from, to }) => ({ path, from, to })),
    slots: slots.map(({ slot, kind, from, to, reason }) => ({
      slot,
      kind,
      from: from === null ? null : nameOf(reading, from),
      to: to === null ? null : nameOf(reading, to),
      reason,
    })),
    duration: { leastMs, services: services.map((service) => ({ ...service })) },
    warnings: [...warnings],
    releases: releasesBetween(reading.snapshot.view, view),
  }
}
