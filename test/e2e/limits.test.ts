// What holds an instance, as a user meets it: applied from a file, told in `ps`, ended by `stop`. Needs root, control
// groups, setpriv and bubblewrap, as .ci/run provides them; fails where they are missing.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ready, until, withFleet, type Fleet, type Peer } from './support/fleet.ts'
import { isRunning } from './support/leftovers.ts'

/** Applies services in the words of a cell file, without waiting. */
const apply = async (fleet: Fleet, peer: Peer, services: string): Promise<void> => {
  const file = join(fleet.directory, 'cell.yaml')
  await writeFile(file, `name: e2e\nservices:\n${services}`)
  const { code, stderr } = await peer.cli('apply', '-f', file, '--yes', '--no-wait')
  assert.equal(code, 0, stderr)
}

const pidIn = (file: string): Promise<number> =>
  until('the pid is written', async () => Number(await readFile(file, 'utf8')))

describe('limits, users and isolation', () => {
  it('tells want of memory apart from a crash, and refuses forks beyond pids', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      await apply(
        fleet,
        peer,
        `  hungry: { command: dd if=/dev/zero of=/dev/null bs=1G count=1, deploy: { resources: { limits: { memory: 64M } } } }
  crash: { command: [sh, -c, exit 3] }
  forks: { command: [sh, -c, 'for i in 1 2 3 4 5 6; do sleep 100000 & done; wait'], deploy: { resources: { limits: { pids: 3 } } } }
`,
      )
      const reasonOf = (name: string, expected: RegExp): Promise<unknown> =>
        until(`${name} says ${expected}`, async () => {
          const { instances } = await peer.instances()
          const one = instances.find(({ service }) => service === name)
          if (expected.test(one?.reason ?? '')) return true
          throw new Error(one?.reason)
        })
      await reasonOf('hungry', /out of memory: went over its limit of 64M and was ended by SIGKILL/)
      await reasonOf('crash', /exited with 3/)
      await until('the fork is refused', async () =>
        /fork/.test((await peer.cli('logs', 'e2e/forks')).stdout),
      )
      await until('ps says it, too', async () => /out of memory/.test((await peer.cli('ps')).stdout))
    }))

  it('ends by stop what left its group, its session, its parents and its environment (S10)', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      const file = join(fleet.directory, 'left')
      const left = `trap "" TERM; echo $$$$ >${file}; while :; do /bin/sleep 100000; done`
      await apply(
        fleet,
        peer,
        `  leaver:
    stop_grace_period: 200ms
    command: [sh, -c, "setsid -f env -i /bin/sh -c '${left.replaceAll('"', '\\"')}'; exec sleep 100000"]
`,
      )
      await ready(peer, 'leaver', 1)
      const pid = await pidIn(file)
      assert.ok(isRunning(pid))
      // It survives a kill -9 of the peer with everything else, and its successor knows it.
      await peer.end('SIGKILL')
      await peer.up()
      assert.ok(isRunning(pid))
      assert.equal((await peer.cli('stop', 'e2e/leaver')).code, 0)
      await until('it is gone', () => !isRunning(pid))
    }))

  it('drops to the user, hides the rest of the machine, and refuses a user that is not there', () =>
    withFleet(async (fleet) => {
      const [peer] = await fleet.grow(1)
      assert.ok(peer !== undefined)
      await apply(
        fleet,
        peer,
        `  who: { user: nobody, command: [sh, -c, 'id -un; exec sleep 100000'] }
  boxed: { isolation: sandbox, command: [sh, -c, 'ls ${process.cwd()} 2>&1; echo looked; exec sleep 100000'] }
  ghost: { user: no-such-user, command: [sleep, "1"] }
`,
      )
      await ready(peer, 'who', 1)
      await ready(peer, 'boxed', 1)
      await until('it says who it is', async () => /nobody/.test((await peer.cli('logs', 'e2e/who')).stdout))
      const boxed = await until('it has looked', async () => {
        const { stdout } = await peer.cli('logs', 'e2e/boxed')
        return /looked/.test(stdout) && stdout
      })
      assert.match(boxed, /No such file/)
      await until('the refusal is told', async () =>
        /user 'no-such-user' does not exist on peer 'p0'/.test((await peer.cli('ps')).stdout),
      )
    }))
})
