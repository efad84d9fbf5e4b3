// Whole commands about what would be, against a peer that says what the test wants.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseAdded } from '../../cli/commands/simulate.ts'
import type { SimulationReply } from '../../node/serve/api/contract-simulate.ts'
import { asOf, fakePeer, tutti, type FakePeer } from './fake.ts'

const reply = (changes: Partial<SimulationReply> = {}): SimulationReply => ({
  asOf,
  edits: [],
  slots: [{ slot: 'shop/web/0', kind: 'move', from: 'b', to: 'a', reason: 'b is lost' }],
  outages: [{ slot: 'shop/db/0', reason: 'nobody can hold it' }],
  warnings: [],
  survivable: false,
  losses: [
    { peer: 'a', survivable: true, moves: 2, outages: [], interrupted: ['shop/one'] },
    {
      peer: 'c',
      survivable: false,
      moves: 1,
      outages: [{ slot: 'shop/db/1', reason: 'no room' }],
      interrupted: [],
    },
  ],
  unchecked: [],
  ...changes,
})

let peer: FakePeer
let answer = reply()
const directory = mkdtempSync(join(tmpdir(), 'tutti-simulate-'))
before(async () => {
  writeFileSync(join(directory, 'cell.yaml'), 'name: shop\nservices: { web: { command: [serve] } }\n')
  peer = await fakePeer({
    'POST /v1/simulations': () => answer,
    'GET /v1/rebalance': () => ({
      asOf,
      peers: [{ peer: 'a', slots: 3, reservedCpusMilli: 1500, reservedMemoryBytes: 2 ** 30 }],
      away: [{ slot: 'shop/web/1', peer: 'a', home: 'b', reason: 'has left' }],
      gone: ['b'],
      anew: [{ slot: 'shop/web/2', kind: 'move', from: 'a', to: 'c', reason: 'why' }],
    }),
  })
})
after(async () => {
  await peer.close()
  rmSync(directory, { recursive: true })
})

describe('tutti simulate', () => {
  it('hands on what is asked, and shows what moves, what would not run, and who may be lost', async () => {
    const words = ['simulate', '--kill', 'b,d', '--kill', 'e', '--cordon', 'f', '-f', 'cell.yaml']
    const { code, stdout } = await tutti([...words, '--add', 'cpus=0.5,memory=1G,label.zone=x'], {
      peer,
      directory,
    })
    assert.equal(code, 0)
    const body = peer.asked.at(-1)?.body as { readonly operations: readonly { readonly kind: string }[] }
    assert.deepEqual(
      { ...body, operations: body.operations.map(({ kind }) => kind) },
      {
        kill: ['b', 'd', 'e'],
        cordon: ['f'],
        drain: [],
        add: [{ cpusMilli: 500, memoryBytes: 2 ** 30, labels: { zone: 'x' } }],
        operations: ['apply'],
        losses: true,
      },
    )
    assert.equal(
      stdout,
      [
        '  → shop/web/0 moves from b to a (b is lost)',
        '  ! shop/db/0 would not run (nobody can hold it)',
        '1 slot would move, 1 would not run',
        'not every machine may be lost',
        '  without a: survivable, 2 slots would move',
        '    runs nowhere else meanwhile: shop/one',
        '  without c: 1 would not run, 1 slot would move',
        '    ! shop/db/1 would not run (no room)',
        '',
      ].join('\n'),
    )
  })

  it('without options looks at the losses alone', async () => {
    answer = reply({ slots: [], outages: [], survivable: true, losses: [] })
    const { stdout } = await tutti(['simulate'], { peer })
    assert.equal(stdout, 'any one machine may be lost: everything runs again on the others\n')
    answer = reply({ survivable: false, losses: [], unchecked: ['z'] })
    assert.match(
      (await tutti(['simulate'], { peer })).stdout,
      /not all machines were looked at\n {2}not looked at: z/,
    )
  })

  it('refuses what describes no machine, with the form', async () => {
    for (const [text, sentence] of [
      ['cpu=4,memory=1G', /a machine has no 'cpu'; did you mean cpus\?/],
      ['memory=1G', /a machine needs cpus; write it as in cpus=4/],
      ['cpus=4', /a machine needs memory/],
      ['cpus=4,memory=lots', /'lots' is not a size/],
      ['big', /'big' says nothing of a machine/],
    ] as const)
      assert.throws(() => parseAdded(text), sentence)
    assert.equal((await tutti(['simulate', '--add', 'big'], { peer })).code, 2)
    assert.deepEqual(parseAdded('name=n1,cpus=2,memory=512M'), {
      name: 'n1',
      cpusMilli: 2000,
      memoryBytes: 2 ** 29,
      labels: {},
    })
  })
})

describe('tutti rebalance', () => {
  it('says that it does nothing, and what a removal would move', async () => {
    const { code, stdout } = await tutti(['rebalance', '--dry-run'], { peer })
    assert.equal(code, 0)
    assert.equal(
      stdout,
      [
        'nothing to do: placement is computed from what is wanted and who is here, and never drifts',
        'PEER\tSLOTS\tCPUS RESERVED\tMEMORY RESERVED',
        'a\t3\t1.5\t1G',
        'shop/web/1 is on a, away from its home: b has left',
        'b is gone and still counted as a home; removed with tutti peers rm, this would move:',
        '  → shop/web/2 moves from a to c (why)',
        '',
      ].join('\n'),
    )
    assert.match(
      (await tutti(['rebalance', '--help'], { peer })).stdout,
      /does nothing, since nothing drifts/,
    )
  })
})
