// Commands in instances that are confined: they run as the instance's user, inside of its sandbox and in its control
// group, with no more rights than it has. Needs root, control groups, setpriv and bubblewrap, as limits.test.ts does.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ready, until, withFleet } from './support/fleet.ts'
import { isRunning } from './support/leftovers.ts'

const CELL = `name: e2e
services:
  who: { user: nobody, command: [sleep, "100000"] }
  boxed: { isolation: sandbox, command: [sleep, "100000"] }
  both: { isolation: sandbox, user: nobody, command: [sleep, "100000"] }
  held:
    stop_grace_period: 200ms
    deploy: { resources: { limits: { pids: 20 } } }
    ulimits: { nofile: 77 }
    command: [sleep, "100000"]
`

/** Bits of CapEff as the kernel prints it. */
const rightsIn = (status: string): bigint => BigInt(`0x${/^CapEff:\s+(\S+)/m.exec(status)?.[1] ?? 'none'}`)

describe('exec in what is confined', () => {
  it('has the user, the sandbox, the limits and the end of its instance', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      const file = join(fleet.directory, 'cell.yaml')
      await writeFile(file, CELL)
      assert.equal((await peer.cli('apply', '-f', file, '--yes', '--no-wait')).code, 0)
      for (const service of ['who', 'boxed', 'both', 'held']) await ready(peer, service, 1)
      const out = async (service: string, script: string): Promise<string> => {
        const { code, stdout, stderr } = await peer.cli('exec', `e2e/${service}`, '--', 'sh', '-c', script)
        assert.equal(code, 0, stderr)
        return stdout.trim()
      }
      for (const turn of ['started here', 'adopted']) {
        assert.equal(await out('who', 'id -un'), 'nobody', turn)
        assert.equal(rightsIn(await out('who', 'cat /proc/self/status')), 0n)

        // In the sandbox pid 1 is its own, the peer's data is not to be seen, and root has lost what reaches the machine.
        assert.match(await out('boxed', 'cat /proc/1/comm'), /bwrap/)
        assert.match(await out('boxed', `test -e ${fleet.directory}/cell.yaml || echo hidden`), /hidden/)
        const rights = rightsIn(await out('boxed', 'cat /proc/self/status'))
        // CAP_SYS_ADMIN and CAP_SYS_PTRACE of capability.h.
        assert.equal(rights & ((1n << 21n) | (1n << 19n)), 0n)
        assert.equal(await out('both', 'id -un; test -e /home || echo hidden'), 'nobody\nhidden')

        assert.equal(await out('held', 'ulimit -n'), '77')
        assert.equal((await peer.cli('exec', 'e2e/boxed', '--', 'sh', '-c', 'exit 7')).code, 7)
        await peer.end('SIGKILL')
        await peer.up()
        for (const service of ['who', 'boxed', 'both', 'held']) await ready(peer, service, 1)
      }

      // Killed with the group, though it left its session, its parents and its environment, and does not listen.
      const note = join(fleet.directory, 'left')
      const leave = `setsid -f env -i /bin/sh -c 'trap "" TERM; echo $$ >${note}; while :; do /bin/sleep 100000; done'`
      const entered = peer.cli('exec', 'e2e/held', '--', 'sh', '-c', `${leave}; exec sleep 100000`)
      const pid = await until('it has left', async () => Number(await readFile(note, 'utf8')))
      assert.ok(isRunning(pid))
      assert.equal((await peer.cli('stop', 'e2e/held')).code, 0)
      await until('it is gone', () => !isRunning(pid))
      assert.notEqual((await entered).code, 0)
    }))
})
