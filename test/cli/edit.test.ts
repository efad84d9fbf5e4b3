// Commands that edit: the operations they post, and what they wait for.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tutti } from './fake.ts'
import { shopPeer } from './shop-peer.ts'

const { peer, bodies } = await shopPeer()

describe('tutti, editing', () => {
  it('scales several services in one change', async () => {
    assert.equal((await tutti(['scale', 'shop/web=3', 'shop/cart=0'], { peer })).code, 0)
    assert.deepEqual(bodies().at(-1), {
      message: 'scale shop/web=3 shop/cart=0',
      operations: [
        { kind: 'scale', service: 'shop/web', replicas: 3 },
        { kind: 'scale', service: 'shop/cart', replicas: 0 },
      ],
    })
  })

  it('restarts and waits', async () => {
    const { code, stdout } = await tutti(['restart', 'shop/web', '--wait'], { peer })
    assert.deepEqual([code, stdout.endsWith('shop/web: 1/1 ready\n')], [0, true])
  })

  it('removes cells and services after a yes', async () => {
    assert.equal((await tutti(['rm', 'shop'], { peer })).code, 2)
    assert.equal((await tutti(['rm', 'shop', 'x/y'], { peer, answer: 'yes' })).code, 0)
    assert.deepEqual(bodies().at(-1), {
      message: 'remove shop x/y',
      operations: [
        { kind: 'remove-cell', cell: 'shop' },
        { kind: 'remove', service: 'x/y' },
      ],
    })
  })

  it('drains a peer until nothing runs there', async () => {
    const { code, stdout } = await tutti(['peers', 'drain', 'b'], { peer })
    assert.deepEqual([code, stdout.includes('b: empty\n')], [0, true])
    assert.deepEqual(bodies().at(-1), { message: 'drain b', operations: [{ kind: 'drain', peer: 'b' }] })
  })

  it('joins the running peer', async () => {
    const { code, stdout } = await tutti(['join', 'tutti1-abc', '--name', 'b'], { peer })
    assert.deepEqual([code, stdout], [0, 'peer b joined cluster c1c2c3c4 of 3 peers\n'])
  })
})
