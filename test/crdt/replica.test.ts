// The replica's life: drafts, judgements, commits in any order of appends, restarts.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyCell, removeService, scale } from '../../crdt/edits.ts'
import { IntentReplica, type Restored } from '../../crdt/replica.ts'
import type { ServiceId } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import {
  actorOf,
  cell,
  CLUSTER,
  edit,
  foundedCluster,
  pull,
  replicaOf,
  service,
  signerOf,
} from './cluster.ts'

const WEB = 'shop/web' as ServiceId
const shop = cell('shop', service('web', { environment: { A: '1' } }), service('db'))
const meta = { message: 'test', at: 7 }

const restored = (disk: Restored): IntentReplica =>
  IntentReplica.restore({ cluster: CLUSTER, actor: actorOf('restarted'), signer: signerOf('ada') }, disk)

const founded = (): IntentReplica => {
  const [ada] = foundedCluster()
  assert.ok(ada)
  edit(ada, applyCell(ada.view(), shop).edits, 'apply shop', 42)
  return ada
}

describe('replica', () => {
  it('shows nothing of a draft before its commit, and all of it after', () => {
    const ada = founded()
    const view = ada.view()
    const staged = ada.draft(scale(view, WEB, 5), meta)
    assert.ok(staged)
    assert.equal(ada.view(), view)
    ada.commit([staged])
    assert.equal(ada.view().services.find(({ id }) => id === WEB)?.replicas, 5)
    assert.deepEqual(ada.changeInfo(staged.hash), { author: signerOf('ada').member, ...meta })
  })

  it('drafts nothing when no edit changes anything', () => {
    const ada = founded()
    assert.equal(ada.draft(applyCell(ada.view(), shop).edits, meta), null)
    assert.equal(ada.draft([], meta), null)
  })

  it('refuses a draft in one sentence and stages nothing of it', () => {
    const ada = founded()
    assert.throws(
      () => ada.draft([{ container: 'cells', key: 'x', value: 1 }], meta),
      /is not a field of cells/,
    )
    assert.throws(() => ada.draft(scale(ada.view(), WEB, 5), { message: 'x'.repeat(5000), at: 0 }), /message/)
    const edits = Array.from({ length: 30 }, (_, index) => ({
      container: 'services' as const,
      key: `shop/web/1/environment/V${index}`,
      value: 'x'.repeat(LIMITS.valueBytesMax),
    }))
    assert.throws(() => ada.draft(edits, meta), /exceeds 524288/)
    assert.equal(ada.draft(scale(ada.view(), WEB, 5), meta)?.info.message, 'test')
  })

  it('commits in causal order whatever order the appends end in', () => {
    const ada = founded()
    const first = ada.draft(scale(ada.view(), WEB, 5), meta)
    const second = ada.draft(scale(ada.view(), WEB, 6), meta)
    assert.ok(first && second)
    assert.deepEqual(ada.commit([second]), [])
    assert.deepEqual(ada.commit([first]), [first, second])
    assert.equal(ada.view().services.find(({ id }) => id === WEB)?.replicas, 6)
  })

  it('goes on under a new actor after an abandoned append, and never reuses a seq (S3)', () => {
    const ada = founded()
    const before = ada.actor
    const lost = ada.draft(scale(ada.view(), WEB, 5), meta)
    assert.ok(lost)
    ada.abandon(actorOf('fresh'))
    assert.notEqual(ada.actor, before)
    edit(ada, scale(ada.view(), WEB, 6))
    assert.equal(ada.vector().get(ada.actor), 1)
    // The disk had it after all: it is judged again, concurrent with what came since.
    assert.equal(ada.commit([lost]).length, 1)
    assert.deepEqual(
      ada
        .view()
        .services.find(({ id }) => id === WEB)
        ?.conflicts.map(({ path }) => path),
      ['shop/web replicas'],
    )
  })

  it('holds orphans until their causes come, and judges them then', () => {
    const ada = founded()
    const eve = replicaOf('ada', 2)
    const records = ada.missingFrom(eve.vector(), Infinity)
    const backwards = eve.judge(records.toReversed())
    assert.equal(backwards.orphans, records.length - 1)
    assert.equal(backwards.staged.length, records.length)
    assert.equal(eve.judge(records).known, records.length)
    eve.commit(backwards.staged)
    assert.equal(eve.view().digest, ada.view().digest)
    assert.equal(eve.headsDigest(), ada.headsDigest())
  })

  it('sends what the other lacks in causal order, in batches of the size asked for', () => {
    const ada = founded()
    const other = replicaOf('ada', 2)
    for (let rounds = 0; other.headsDigest() !== ada.headsDigest(); rounds += 1) {
      assert.ok(rounds < 10)
      const batch = ada.missingFrom(other.vector(), 1)
      assert.equal(batch.length, 1)
      other.commit(other.judge(batch).staged)
    }
    assert.deepEqual(ada.missingFrom(other.vector(), Infinity), [])
  })

  it('restores from its snapshot and the log after it, duplicates and disorder included', () => {
    const ada = founded()
    const snapshot = ada.snapshot()
    const later = [edit(ada, scale(ada.view(), WEB, 2)), edit(ada, scale(ada.view(), WEB, 3))].map(
      (s) => s.record,
    )
    const again = restored({ ...snapshot, later: [...later.toReversed(), ...later, ...snapshot.records] })
    assert.deepEqual(again.problems, [])
    assert.deepEqual(again.view(), ada.view())
    assert.equal(again.headsDigest(), ada.headsDigest())
    edit(again, scale(again.view(), WEB, 9))
    pull(ada, again)
    assert.equal(again.view().digest, ada.view().digest)
  })

  it('falls back to the records when the saved document is damaged, missing or of another state', () => {
    const ada = founded()
    const { document, records } = ada.snapshot()
    edit(ada, scale(ada.view(), WEB, 2))
    const damaged = document.slice()
    damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 0xff
    for (const broken of [damaged, new Uint8Array(0), ada.snapshot().document, null]) {
      const again = restored({ document: broken, records, later: [] })
      assert.equal(again.problems.length, broken === null ? 0 : 1)
      assert.equal(again.view().services.length, 2)
    }
  })

  it('reports records of the log that it cannot use, and starts all the same', () => {
    const ada = founded()
    const { document, records } = ada.snapshot()
    edit(ada, scale(ada.view(), WEB, 2))
    const orphan = edit(ada, scale(ada.view(), WEB, 3)).record
    const again = restored({ document, records, later: [Uint8Array.of(1, 2, 3), orphan] })
    assert.equal(again.problems.length, 2)
    assert.equal(again.view().services.length, 2)
  })

  it('previews a view without changing anything, just as the commit makes it', () => {
    const ada = founded()
    const edits = [...scale(ada.view(), WEB, 4), ...removeService(ada.view(), 'shop/db' as ServiceId)]
    const digest = ada.view().digest
    const preview = ada.preview(edits)
    assert.equal(ada.view().digest, digest)
    edit(ada, edits)
    assert.equal(preview.digest, ada.view().digest)
  })

  it('tells its history newest first, with what was there before', () => {
    const ada = founded()
    edit(ada, scale(ada.view(), WEB, 4), 'scale shop/web=4', 99)
    const [newest, applied] = ada.past.changes({ limit: 2 }).changes
    assert.equal(newest?.message, 'scale shop/web=4')
    assert.deepEqual(newest.edits, [{ path: 'shop/web replicas', from: null, to: '4' }])
    assert.deepEqual(applied?.edits, [
      { path: 'shop/web', from: null, to: 'present' },
      { path: 'shop/db', from: null, to: 'present' },
    ])
    assert.deepEqual(
      ada.past.changes({ limit: 10, of: 'shop/db' }).changes.map(({ message }) => message),
      ['apply shop'],
    )
  })
})
