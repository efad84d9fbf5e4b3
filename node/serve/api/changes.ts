// From a change request to edits and back to words: operations become edits one after the other, each on top of what the
// ones before it leave, so that a request may create a cell and scale it in one atomic change. Performs nothing: the
// route hands the edits to the agent.

import type { Edit, EditDescription } from '../../../crdt/edit.ts'
import {
  applyCell,
  cordon,
  drain,
  removeCell,
  removeMember,
  removeService,
  restart,
  scale,
  start,
  stop,
  uncordon,
} from '../../../crdt/edits.ts'
import { recordBuild, removeBuildDuty, retryBuild, setBuildDuty } from '../../../crdt/build-duty-edits.ts'
import { nameOfPackage, putPackage, removePackage } from '../../../crdt/edits-package.ts'
import { checkNotRejected, retryRelease } from '../../../crdt/rollout-edits.ts'
import { describeEdits } from '../../../crdt/describe-edits.ts'
import { settle } from '../../../crdt/disputes.ts'
import type { Past } from '../../../crdt/past.ts'
import type { View } from '../../../crdt/schema/view.ts'
import { unreachable } from '../../../lib/assert.ts'
import type { ServiceId } from '../../../lib/ids.ts'
import type { AgentSnapshot } from '../../ports.ts'
import type { ChangeRequest, Operation } from './contract.ts'
import { rollback, rollbackWords } from './rollback.ts'
import { rolloutEdits } from './rollout-change.ts'

export interface PreparedChange {
  readonly edits: readonly Edit[]
  readonly described: readonly EditDescription[]
  /** What the operator did, in words. */
  readonly message: string
}

export interface ChangeMakers {
  readonly preview: (edits: readonly Edit[]) => View
  /** A text never used before: what makes a restart a release of its own. */
  readonly token: () => string
  /** What was, for what goes back to it. */
  readonly past: Past
}

/** Takes rejections of what is wanted now back, or refuses. @throws TuttiError `refused`. */
const settleRejections = (
  before: View,
  edits: readonly Edit[],
  retry: boolean,
  { preview, token }: ChangeMakers,
): readonly Edit[] => {
  if (!before.services.some(({ rejected }) => rejected !== undefined)) return []
  const after = preview(edits)
  if (!retry) {
    checkNotRejected(before, after)
    return []
  }
  return after.services.flatMap((service) =>
    service.rejected?.[service.release] === undefined
      ? []
      : retryRelease(after, service.id, service, token()),
  )
}

/** @throws TuttiError `unknown`, `invalid`, `refused` or `too-large`, as the operations and the preview do. */
export const prepareChange = (
  snapshot: AgentSnapshot,
  request: ChangeRequest,
  makers: ChangeMakers,
): PreparedChange => {
  const { preview } = makers
  const edits: Edit[] = []
  let after = snapshot.view
  // Packages listed since the last preview.
  let listed = new Set<string>()
  for (const operation of request.operations) {
    const name = operation.kind === 'put-package' ? nameOfPackage(operation.ref) : null
    // What the last one leaves, nobody here needs: whoever wants the edits made learns it when they are. Nor does a package
    // need what packages of other names leave, of which a release lists one for each service.
    const isApart = name !== null && listed.size > 0 && !listed.has(name)
    if (edits.length > 0 && !isApart) after = preview(edits)
    listed = name === null ? new Set() : isApart ? listed.add(name) : new Set([name])
    edits.push(...editsOf(snapshot, after, operation, makers))
  }
  edits.push(...settleRejections(snapshot.view, edits, request.retry === true, makers))
  const { message = request.operations.map((operation) => wordsOf(operation, makers.past)).join(', ') } =
    request
  return {
    edits,
    described: describeEdits(snapshot.view, edits),
    message:
      message.length > MESSAGE_CHARACTERS_MAX ? `${message.slice(0, MESSAGE_CHARACTERS_MAX - 1)}…` : message,
  }
}

/** As the contract bounds a message that the caller gives. */
const MESSAGE_CHARACTERS_MAX = 500

const editsOf = (
  snapshot: AgentSnapshot,
  view: View,
  operation: Operation,
  makers: ChangeMakers,
): readonly Edit[] => {
  switch (operation.kind) {
    case 'apply':
      return applyCell(view, operation.cell).edits
    case 'scale':
      return scale(view, operation.service as ServiceId, operation.replicas)
    case 'restart':
      return restart(view, operation.service as ServiceId, makers.token())
    case 'stop':
      return stop(view, operation.service as ServiceId)
    case 'start':
      return start(view, operation.service as ServiceId)
    case 'remove':
      return removeService(view, operation.service as ServiceId)
    case 'remove-cell':
      return removeCell(view, operation.cell)
    case 'cordon':
      return cordon(view, operation.peer)
    case 'uncordon':
      return uncordon(view, operation.peer)
    case 'drain':
      return drain(view, operation.peer)
    case 'remove-peer':
      return removeMember(view, operation.peer)
    case 'rollback':
      return rollback(view, makers.past, operation)
    case 'resolve':
      return settle(view, makers.past.registerOf, operation.path, operation.take)
    case 'rollout':
      return rolloutEdits(snapshot, view, operation.service as ServiceId, operation.order, makers)
    case 'set-build-duty':
      return setBuildDuty(view, operation.name, operation.duty)
    case 'remove-build-duty':
      return removeBuildDuty(view, operation.name)
    case 'retry-build':
      return retryBuild(view, operation.name)
    case 'record-build':
      return recordBuild(view, operation.name, operation.outcome, operation.after)
    case 'put-package':
      return putPackage(view, operation, operation.keep ?? null)
    case 'remove-package':
      return removePackage(view, operation.ref)
    default:
      return unreachable(operation)
  }
}

const wordsOf = (operation: Operation, past: Past): string => {
  switch (operation.kind) {
    case 'apply':
      return `apply ${operation.cell.name}`
    case 'scale':
      return `scale ${operation.service}=${operation.replicas}`
    case 'restart':
    case 'stop':
    case 'start':
    case 'remove':
      return `${operation.kind} ${operation.service}`
    case 'remove-cell':
      return `remove cell ${operation.cell}`
    case 'cordon':
    case 'uncordon':
    case 'drain':
      return `${operation.kind} ${operation.peer}`
    case 'remove-peer':
      return `remove peer ${operation.peer}`
    case 'rollback':
      return rollbackWords(past, operation)
    case 'resolve':
      return `resolve ${operation.path}`
    case 'rollout':
      return `${operation.order} the rollout of ${operation.service}`
    case 'set-build-duty':
      return `build duty ${operation.name}: ${operation.duty.branch} of ${operation.duty.repository}`
    case 'remove-build-duty':
      return `remove build duty ${operation.name}`
    case 'retry-build':
      return `build duty ${operation.name}: try again`
    case 'record-build':
      return `build duty ${operation.name}: ${operation.outcome.commit.slice(0, 12)} ${operation.outcome.kind}`
    case 'put-package':
      return `push ${operation.ref}`
    case 'remove-package':
      return `remove package ${operation.ref}`
    default:
      return unreachable(operation)
  }
}
