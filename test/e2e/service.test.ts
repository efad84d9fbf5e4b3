// A peer as a service of a machine that systemd runs: installed, killed, restarted, stopped, through a loss of power, and
// removed. What systemd does is its own; what is claimed is that the peer is back, and what becomes of its instances.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  applyOf,
  fingerprint,
  idle,
  ready,
  service,
  until,
  withFleet,
  type Fleet,
  type Instance,
  type Output,
  type Peer,
} from './support/fleet.ts'
import { TUTTI } from './support/peer.ts'
import { SystemdBed, systemdBedMissing } from './support/systemd-bed.ts'

const missing = await systemdBedMissing()
if (missing !== null) process.stderr.write(`SKIPPED: services under systemd are not tested: ${missing}\n`)

const UNIT = 'tutti.service'
const UNIT_FILE = 'etc-systemd/system/tutti.service'
const WANTED = 'etc-systemd/system/multi-user.target.wants/tutti.service'
/** Instances: enough to tell one that was forgotten from all. */
const FEW = 3

interface Machine {
  readonly bed: SystemdBed
  readonly fleet: Fleet
  /** The one that the service runs, asked from outside. */
  readonly peer: Peer
}

/** A machine that has booted, and on which nothing is installed. */
const withMachine = (scenario: (machine: Machine) => Promise<void>): Promise<void> =>
  withFleet(async (fleet) => {
    const bed = SystemdBed.create(join(fleet.directory, 'machine'))
    const peer = fleet.peer({ name: 'one', data: join(bed.var, 'lib/tutti') })
    try {
      await bed.boot()
      await scenario({ bed, fleet, peer })
    } catch (thrown) {
      process.stderr.write(`${await bed.story(UNIT)}\n`)
      throw thrown
    } finally {
      await bed.close()
    }
  })

const tutti = (bed: SystemdBed, ...words: readonly string[]): Promise<Output> => bed.run(TUTTI, ...words)

const done = (output: Output): Output => {
  assert.equal(output.code, 0, output.stderr)
  return output
}

const install = async ({ bed }: Machine, ...words: readonly string[]): Promise<Output> =>
  done(await tutti(bed, 'install-service', ...words, '--', '--name', 'one'))

const mainPid = async (bed: SystemdBed): Promise<number> => Number(await bed.show(UNIT, 'MainPID'))

/** Waits until another process than `old` is the peer, and answers. */
const backAgain = async ({ bed, peer }: Machine, old: number): Promise<number> => {
  const pid = await until('systemd has started it again', async () => {
    const now = await mainPid(bed)
    return now !== 0 && now !== old && now
  })
  await until('it answers', async () => (await peer.get('/readyz')) !== null)
  return pid
}

/** Those of the pids, as the machine counts them, that run. */
const runningOf = async (bed: SystemdBed, instances: readonly Instance[]): Promise<readonly number[]> => {
  const pids = instances.flatMap(({ pid }) => pid ?? [])
  const { stdout } = await bed.run(
    'sh',
    '-c',
    'for p; do [ ! -d "/proc/$p" ] || echo "$p"; done',
    'sh',
    ...pids.map(String),
  )
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(Number)
}

const assertAdopted = async ({ peer }: Machine, before: readonly Instance[]): Promise<void> => {
  const after = await ready(peer, 'web', before.length)
  assert.deepEqual(fingerprint(after), fingerprint(before))
  assert.ok(after.every(({ restarts }) => restarts === 0))
}

describe('a peer as a service of systemd', { skip: missing ?? false }, () => {
  it('is written, enabled and running once it is installed, and stopped, disabled and gone once it is removed', () =>
    withMachine(async (machine) => {
      const { bed, peer } = machine
      const { stdout } = await install(machine)
      assert.match(stdout, /tutti\.service written\npeer one runs as service tutti, in cluster/)
      assert.equal(await bed.show(UNIT, 'ActiveState'), 'active')
      assert.equal(await bed.show(UNIT, 'UnitFileState'), 'enabled')
      assert.equal(readlinkSync(join(bed.directory, WANTED)), '/etc/systemd/system/tutti.service')
      const pid = await mainPid(bed)
      assert.match((await install(machine)).stdout, /was there already/)
      assert.equal(await mainPid(bed), pid, 'the same unit is no reason to restart')

      await peer.change(applyOf(idle('web', { replicas: FEW })))
      const before = await ready(peer, 'web', FEW)
      assert.match(
        done(await tutti(bed, 'install-service', '--remove')).stdout,
        /removed\nits instances run on/,
      )
      assert.equal(await bed.show(UNIT, 'LoadState'), 'not-found')
      assert.ok(!existsSync(join(bed.directory, UNIT_FILE)) && !existsSync(join(bed.directory, WANTED)))
      assert.equal((await runningOf(bed, before)).length, FEW)
      await install(machine)
      await assertAdopted(machine, before)

      const removed = done(await tutti(bed, 'uninstall-service', '--stop-instances'))
      assert.match(removed.stdout, new RegExp(`${FEW} instances ended`))
      assert.deepEqual(await runningOf(bed, before), [])
    }))

  it('takes other options by a restart that no instance notices', () =>
    withMachine(async (machine) => {
      const { bed, peer } = machine
      await install(machine)
      await peer.change(applyOf(idle('web', { replicas: FEW })))
      const before = await ready(peer, 'web', FEW)
      const pid = await mainPid(bed)
      const words = ['install-service', '--yes', '--', '--name', 'one', '--label', 'zone=eu-1']
      const { stdout, stderr } = done(await tutti(bed, ...words))
      assert.match(stderr, /^\+ ExecStart=.*"zone=eu-1"$/m)
      assert.match(stdout, /replaced/)
      assert.notEqual(await mainPid(bed), pid)
      await until('it says its label', async () => (await peer.sees('one')).labels['zone'] === 'eu-1')
      await assertAdopted(machine, before)
    }))

  it('is back after kill -9, after a restart and after stop and start, with the same instances (S10)', (test) =>
    withMachine(async (machine) => {
      const { bed, peer } = machine
      await install(machine)
      // One with limits: with controllers handed down, a group takes no process of its own any more.
      await peer.change(applyOf(idle('web', { replicas: FEW, memoryMaxBytes: 64 * 2 ** 20, pidsMax: 50 })))
      const before = await ready(peer, 'web', FEW)
      assert.equal(await bed.show(UNIT, 'RestartUSec'), '100ms')
      for (let round = 0; round < 3; round += 1) {
        const old = await mainPid(bed)
        done(await bed.run('sh', '-c', 'kill -KILL "$0"', String(old)))
        const killedAt = performance.now()
        await backAgain(machine, old)
        test.diagnostic(`answers ${Math.round(performance.now() - killedAt)} ms after kill -9`)
        await assertAdopted(machine, before)
      }
      assert.equal(await bed.show(UNIT, 'NRestarts'), '3')

      const restarted = await mainPid(bed)
      done(await bed.run('systemctl', 'restart', UNIT))
      await backAgain(machine, restarted)
      await assertAdopted(machine, before)

      done(await bed.run('systemctl', 'stop', UNIT))
      assert.equal(await bed.show(UNIT, 'Result'), 'success')
      assert.equal((await runningOf(bed, before)).length, FEW, 'a stop leaves instances running')
      done(await bed.run('systemctl', 'start', UNIT))
      await backAgain(machine, 0)
      await assertAdopted(machine, before)
    }))

  it('starts by itself after a loss of power, and its instances anew: nothing of the past boot is adopted (S10)', () =>
    withMachine(async (machine) => {
      const { bed, peer } = machine
      await install(machine)
      await peer.change(applyOf(idle('web', { replicas: FEW })))
      const before = await ready(peer, 'web', FEW)
      const digest = await peer.digest()
      for (let boot = 0; boot < 2; boot += 1) {
        await bed.powerCut()
        await bed.boot()
        await backAgain(machine, 0)
        const after = await ready(peer, 'web', FEW)
        assert.equal(await peer.digest(), digest)
        assert.equal((await runningOf(bed, after)).length, FEW)
        // A machine that has just booted counts from the start, so a pid may come again: who is behind it is another.
        const reasons = after.map(({ slot, since }) => `${slot} ${since}`)
        assert.ok(before.every(({ slot, since }) => !reasons.includes(`${slot} ${since}`)))
        const { stdout } = await bed.run('sh', '-c', 'grep -lx sleep /proc/[0-9]*/comm')
        assert.equal(stdout.trim().split('\n').length, FEW, 'one program for each slot')
      }
    }))

  it('keeps its instances in groups beside its own, which it is put into again, and limits them there', () =>
    withMachine(async (machine) => {
      const { bed, peer } = machine
      await install(machine)
      const hungry = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1G', 'count=1']
      await peer.change(
        applyOf(idle('web', { replicas: FEW }), service('hungry', hungry, { memoryMaxBytes: 64 * 2 ** 20 })),
      )
      const [one] = await ready(peer, 'web', FEW)
      const { stdout } = await bed.run('cat', `/proc/${one?.pid}/cgroup`)
      assert.match(stdout, /^0::\/system\.slice\/tutti-[0-9a-f]{16}\/[0-9a-f]{32}$/m)
      const root = bed.layout === 'unified' ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified'
      const own = `${root}/system.slice/tutti.service/cgroup.subtree_control`
      assert.equal((await bed.run('cat', own)).stdout.trim(), '', 'it hands nothing down')

      const { stdout: found } = await peer.cli('doctor')
      const limited = /may write .*memory/.test(found)
      if (!limited)
        process.stderr.write('SKIPPED: limits under systemd are not tested: no controllers here\n')
      await until('the limit is told', async () => {
        const { instances } = await peer.instances()
        const reason = instances.find(({ service: name }) => name === 'hungry')?.reason ?? ''
        return limited
          ? /out of memory: went over its limit of 64M/.test(reason)
          : /is not limited/.test(reason)
      })
    }))

  it('lends its instances neither its protection, nor its ignored signals, and a home', () =>
    withMachine(async (machine) => {
      const { bed, peer } = machine
      await install(machine)
      await peer.change(applyOf(idle('web')))
      const [one] = await ready(peer, 'web', 1)
      const at = `/proc/${one?.pid}`
      assert.equal((await bed.run('cat', `${at}/oom_score_adj`)).stdout, '0\n')
      // SIGPIPE is the thirteenth: systemd ignores it for services.
      assert.match((await bed.run('cat', `${at}/status`)).stdout, /^SigIgn:\s+0+$/m)
      assert.match((await bed.run('cat', `${at}/environ`)).stdout, /(^|\0)HOME=\/root(\0|$)/)
      const { stdout } = await peer.cli('exec', 'e2e/web', '--', 'cat', '/proc/self/oom_score_adj')
      assert.equal(stdout, '0\n')
    }))

  it('is tried again, and not in haste, while something keeps it from starting', () =>
    withMachine(async (machine) => {
      const { bed, peer } = machine
      await install(machine)
      await peer.change(applyOf(idle('web', { replicas: FEW })))
      const before = await ready(peer, 'web', FEW)
      // Its key is away, as if the disk were damaged.
      const hidden = join(peer.data, 'identity.key')
      done(await bed.run('systemctl', 'stop', UNIT))
      done(await bed.run('sh', '-c', 'cd /var/lib/tutti && mv identity.key aside && mkdir identity.key'))
      done(await bed.run('systemctl', 'start', UNIT))
      await until('it waits after a failure', async () => (await bed.show(UNIT, 'SubState')) === 'stop-post')
      assert.equal(await bed.show(UNIT, 'Result'), 'exit-code')
      await until('it is tried again', async () => Number(await bed.show(UNIT, 'NRestarts')) > 0)
      assert.ok(readFileSync(bed.logFile, 'utf8').includes(hidden.slice(bed.var.length)))
      done(await bed.run('sh', '-c', 'cd /var/lib/tutti && rmdir identity.key && mv aside identity.key'))
      await backAgain(machine, 0)
      await assertAdopted(machine, before)
    }))

  it("of a user's own is installed without root, tracks its instances in their slice, and is back with them", (test) =>
    withMachine(async ({ bed, fleet }) => {
      const user = await bed.startManager()
      if ((await user.run(TUTTI, '--version')).code !== 0) {
        process.stderr.write('SKIPPED: a service of a user is not tested: others may not read this folder\n')
        test.skip('others may not read this folder')
        return
      }
      const peer = fleet.peer({ name: 'own', data: user.data })
      const { stdout, stderr } = done(
        await user.run(TUTTI, 'install-service', '--user', '--', '--name', 'own'),
      )
      assert.match(stdout, /systemd\/user\/tutti\.service written\npeer own runs as service tutti/)
      assert.match(stderr, /it starts when you log in, not at boot/, 'nobody keeps logins here')
      await peer.change(applyOf(idle('web', { replicas: FEW, memoryMaxBytes: 64 * 2 ** 20 })))
      const before = await ready(peer, 'web', FEW)
      const { stdout: group } = await bed.run('cat', `/proc/${before[0]?.pid}/cgroup`)
      assert.match(group, /^0::\/system\.slice\/manager\.service\/app\.slice\/tutti-[0-9a-f]{16}\//m)
      // Version 1 lets nobody but root limit anything.
      const reasons = before.map(({ reason }) => reason)
      const limited = reasons.every((reason) => !/is not limited/.test(reason))
      assert.equal(limited, bed.hasControllers, reasons.join())

      const mainOf = async (): Promise<string> =>
        (await user.run('systemctl', '--user', 'show', '--value', '-p', 'MainPID', UNIT)).stdout.trim()
      const pid = await mainOf()
      done(await user.run('sh', '-c', 'kill -KILL "$0"', pid))
      await until('it is another process', async () => !['0', pid].includes(await mainOf()))
      await until('it answers', async () => (await peer.get('/readyz')) !== null)
      const after = await ready(peer, 'web', FEW)
      assert.deepEqual(fingerprint(after), fingerprint(before))
      const words = ['uninstall-service', '--user', '--stop-instances']
      assert.match(done(await user.run(TUTTI, ...words)).stdout, new RegExp(`${FEW} instances ended`))
    }))
})
