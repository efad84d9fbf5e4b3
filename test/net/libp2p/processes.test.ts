// Members in processes of their own that are killed, frozen or come back: what no test within one process can show.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterEach, describe, it } from 'node:test'
import { textOf, utf8 } from '../../../lib/bytes.ts'
import { signerFromSeed } from '../../../lib/signature.ts'
import { type Fleet, Peer, startPeers } from '../../contracts/transport/fleet.ts'
import { dialUntilConnected, makeLibp2pFleet, makeTransport, seedOf } from './fleet.ts'
import { talkBothWays } from './talk.ts'
import { until } from '../../support/until.ts'

describe('libp2p transports in other processes', () => {
  let fleet: Fleet | null = null
  const children: ChildProcess[] = []
  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
    }
    await fleet?.close()
    fleet = null
  })

  /** Member 1 in a process of its own, connected to by member 0 here. */
  const openWithChild = async (): Promise<readonly [Fleet, Peer, ChildProcess, readonly string[]]> => {
    fleet = await makeLibp2pFleet(1)
    const [a] = await startPeers(fleet)
    assert.ok(a !== undefined)
    const other = signerFromSeed(seedOf(1)).member
    a.transport.setMembers(new Set([a.id, other]))
    const child = spawn(
      process.execPath,
      [new URL('frozen-peer.ts', import.meta.url).pathname, '1', '0', '1'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    children.push(child)
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const addresses = JSON.parse(line) as string[]
    await dialUntilConnected(a.transport, other, addresses)
    return [fleet, a, child, addresses]
  }

  it('report a killed process as gone with a word', async () => {
    const [, a, child] = await openWithChild()
    child.kill('SIGKILL')
    await until(() => a.silences.length === 1, 'the loss is reported')
    assert.deepEqual(a.silences, [false])
  })

  it('report a frozen member as silent once it is given up, and do not wait for it', async () => {
    const [, a, child, addresses] = await openWithChild()
    const other = signerFromSeed(seedOf(1)).member
    child.kill('SIGSTOP')
    assert.equal(a.transport.send(other, 'beat', utf8('x')), true)
    a.transport.disconnect(other)
    assert.deepEqual(a.silences, [true])
    assert.equal(await a.transport.dial(other, addresses), false, 'a frozen process proves nothing')
    child.kill('SIGCONT')
    await until(() => !a.transport.connections().has(other), 'late answers change nothing')
    await dialUntilConnected(a.transport, other, addresses)
    const answer: string[] = []
    const signal = AbortSignal.timeout(30_000)
    for await (const part of a.transport.request(other, 'echo', utf8('back'), { signal }))
      answer.push(textOf(part))
    assert.deepEqual(answer, ['back'])
  })

  it('move to the new connection of a host that is back while its old one looks alive', async () => {
    const [opened, a, child] = await openWithChild()
    child.kill('SIGSTOP')
    // The same key at another port: to the other side, a host that lost its power and came back.
    const back = new Peer(await makeTransport(1))
    try {
      back.transport.setMembers(new Set([a.id, back.id]))
      await back.start()
      await dialUntilConnected(back.transport, a.id, a.transport.addresses())
      await until(() => back.sees(a) && a.sees(back), 'both ends know of the connection')
      const addressed = (): boolean => {
        a.transport.send(back.id, 'beat', utf8('hello'))
        return back.texts('beat').length > 0
      }
      await until(addressed, 'messages take the new connection')
      await talkBothWays(opened, a, back, 'back')
      assert.deepEqual(a.events, [`+${back.id}`], 'the member was never gone')
    } finally {
      await back.transport.stop()
    }
  })
})
