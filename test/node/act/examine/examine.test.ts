// Facts of the machine: cgroups and limits read from made-up machines, and the disk from a real directory.

import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { encodeFrames, encodeHeader } from '../../../../crdt/log/format.ts'
import { concatBytes, utf8 } from '../../../../lib/bytes.ts'
import { diskFacts, logFacts } from '../../../../node/act/examine/disk.ts'
import {
  cgroupFacts,
  limitFacts,
  rangeFacts,
  toolFacts,
  type SystemFiles,
} from '../../../../node/act/examine/kernel.ts'
import { connectFailure, examineMachine } from '../../../../node/act/examine/machine.ts'

const made: string[] = []
after(async () => {
  for (const directory of made) await rm(directory, { recursive: true, force: true })
})
const scratch = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'tutti-examine-'))
  made.push(directory)
  return directory
}

/** A machine with these files, of which those below the named folders may be written. */
const machine = (files: Readonly<Record<string, string>>, writable: readonly string[] = []): SystemFiles => ({
  read: (path) => files[path] ?? null,
  isWritable: (path) => writable.some((folder) => path === folder || path.startsWith(`${folder}/`)),
  isExecutable: (path) => path === '/usr/bin/flock',
})

const UNIFIED = '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate'

describe('cgroups', () => {
  const own = '/sys/fs/cgroup/system.slice/tutti.service'
  const v2 = {
    '/proc/self/mountinfo': UNIFIED,
    '/proc/self/cgroup': '0::/system.slice/tutti.service\n',
    [`${own}/cgroup.controllers`]: 'cpu memory pids\n',
    [`${own}/pids.max`]: 'max\n',
    '/sys/fs/cgroup/system.slice/cgroup.controllers': 'cpu memory pids\n',
    '/sys/fs/cgroup/system.slice/pids.max': '900\n',
    '/proc/sys/kernel/osrelease': '6.1.0-18-amd64\n',
  }

  it('of version 2 are those of this process, writable where it may make groups: beside a unit, not below it', () => {
    const slice = '/sys/fs/cgroup/system.slice'
    assert.deepEqual(cgroupFacts(machine(v2, [slice])), {
      version: 'v2',
      subsystems: ['cpu', 'memory', 'pids'].map((name) => ({ name, writable: true })),
      killable: true,
      unified: { point: '/sys/fs/cgroup', options: ['rw', 'nsdelegate'], movable: true },
    })
    const inside = cgroupFacts(machine(v2, [own]))
    assert.ok(inside.subsystems.every(({ writable }) => !writable))
    assert.notEqual(inside.unified, null, 'it may track there')
    assert.equal(cgroupFacts(machine(v2)).unified, null)
    assert.equal(limitFacts(machine(v2), false).cgroupPidsMax, 900)
  })

  it('of a kernel before 6.0 know nothing that makes moves fast', () => {
    const old = { ...v2, '/proc/sys/kernel/osrelease': '5.15.0-105-generic\n' }
    const { killable, unified } = cgroupFacts(machine(old, [own]))
    assert.deepEqual([killable, unified?.movable], [true, false])
  })

  it('of version 1 and of both are told apart', () => {
    const old = {
      '/proc/self/mountinfo': '31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
      '/proc/self/cgroup': '5:memory:/user\n1:name=systemd:/user\n',
      '/proc/sys/kernel/osrelease': '4.19.0',
    }
    assert.deepEqual(cgroupFacts(machine(old, ['/sys/fs/cgroup/memory'])), {
      version: 'v1',
      subsystems: [{ name: 'memory', writable: true }],
      killable: false,
      unified: null,
    })
    const both = {
      ...old,
      '/proc/self/mountinfo': `${old['/proc/self/mountinfo']}\n${UNIFIED.replace('/sys/fs/cgroup ', '/sys/fs/cgroup/unified ')}`,
      '/proc/self/cgroup': `${old['/proc/self/cgroup']}0::/user\n`,
    }
    assert.equal(cgroupFacts(machine(both)).version, 'hybrid')
  })

  it('within a container are found below the part that is mounted', () => {
    const inside = {
      '/proc/self/mountinfo': UNIFIED.replace(' / /sys', ' /docker/1 /sys'),
      '/proc/self/cgroup': '0::/docker/1/tutti\n',
      '/sys/fs/cgroup/tutti/cgroup.controllers': 'cpu',
    }
    assert.deepEqual(cgroupFacts(machine(inside)).subsystems, [{ name: 'cpu', writable: false }])
  })

  it('may be missing altogether', () => {
    assert.deepEqual(cgroupFacts(machine({})), {
      version: 'none',
      subsystems: [],
      killable: false,
      unified: null,
    })
  })
})

describe('limits', () => {
  it('are the hard ones', () => {
    const files = machine({
      '/proc/self/limits':
        'Limit                     Soft Limit           Hard Limit           Units     \n' +
        'Max processes             100                  unlimited            processes \n' +
        'Max open files            1024                 524288               files     \n',
      '/proc/sys/fs/file-nr': '1500\t0\t9000\n',
      '/proc/sys/kernel/pid_max': '32768\n',
    })
    const { filesMax, processesMax, pidMax, machineFiles } = limitFacts(files, false)
    assert.deepEqual(
      { filesMax, processesMax, pidMax, machineFiles },
      { filesMax: 524_288, processesMax: null, pidMax: 32_768, machineFiles: { open: 1500, max: 9000 } },
    )
  })
})

describe('ranges and programs', () => {
  it('are read as the kernel and the shell do', () => {
    const files = machine({
      '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
      '/proc/sys/net/ipv4/ip_local_reserved_ports': '7701,20000-31999\n',
    })
    assert.deepEqual(rangeFacts(files), {
      ephemeral: { first: 32_768, last: 60_999 },
      reserved: [
        { first: 7701, last: 7701 },
        { first: 20_000, last: 31_999 },
      ],
    })
    const found = toolFacts(files, 'relative:/bin:/usr/bin').filter((tool) => tool.found)
    assert.deepEqual(
      found.map(({ name }) => name),
      ['flock'],
    )
  })
})

describe('the disk', () => {
  it('is measured in the directory and left as it was', async () => {
    const directory = await scratch()
    await writeFile(join(directory, 'identity.key'), 'x')
    await chmod(join(directory, 'identity.key'), 0o644)
    const facts = await diskFacts(directory)
    assert.equal(facts.failure, null)
    assert.ok(facts.freeBytes > 0 && facts.totalBytes >= facts.freeBytes)
    assert.ok(facts.syncMs !== null && facts.syncMs.max >= facts.syncMs.median)
    assert.deepEqual(facts.exposed, ['identity.key'])
    assert.deepEqual(await readdir(directory), ['identity.key'])
  })

  it('is that of the nearest directory where none was made yet, and nothing is written', async () => {
    const directory = await scratch()
    const facts = await diskFacts(join(directory, 'not', 'yet'))
    assert.equal(facts.exists, false)
    assert.equal(facts.syncMs, null)
    assert.ok(facts.totalBytes > 0)
    assert.deepEqual(await readdir(directory), [])
  })
})

describe('the log', () => {
  const frames = ['one', 'two', 'three'].map((text) => ({ kind: 'status' as const, bytes: utf8(text) }))
  const whole = (): Uint8Array => {
    const header = encodeHeader('L')
    const first = encodeFrames(frames, header.length)
    return concatBytes([header, first, encodeFrames(frames, header.length + first.length)])
  }
  const written = async (bytes: Uint8Array): Promise<string> => {
    const folder = join(await scratch(), 'log')
    await mkdir(folder)
    await writeFile(join(folder, 'log-00000001'), bytes)
    return folder
  }

  it('is whole when every record proves itself, also with an unfinished write at its end', async () => {
    assert.deepEqual((await logFacts(await written(whole())))?.damage, [])
    const facts = await logFacts(await written(whole().subarray(0, -2)))
    assert.deepEqual([facts?.damage, facts?.records], [[], 5])
  })

  it('names a flipped byte by its place', async () => {
    const bytes = whole()
    bytes[30] = (bytes[30] ?? 0) ^ 1
    const facts = await logFacts(await written(bytes))
    assert.equal(facts?.damage.length, 1)
    assert.match(facts?.damage[0] ?? '', /log-00000001: bytes 12 to \d+ are corrupt/)
  })

  it('is none where nothing was ever written', async () => {
    assert.equal(await logFacts(join(await scratch(), 'log')), null)
  })
})

describe('the machine', () => {
  it('is examined whole without a peer', async () => {
    const facts = await examineMachine({ data: await scratch(), peer: null })
    assert.equal(facts.limits.filesOpen, null)
    assert.equal(facts.clock.steppedMs, null)
    assert.deepEqual(facts.ports.listening, [])
    assert.equal(facts.ports.wanted.length, 1)
  })

  it('reaches what listens on it and says why not what does not', async () => {
    const server = createServer()
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const address = server.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const peer = {
      addresses: [`/ip4/127.0.0.1/tcp/${port}/p2p/x`],
      api: `http://0.0.0.0:${port}`,
      steppedMs: 0,
    }
    const facts = await examineMachine({ data: await scratch(), peer })
    assert.deepEqual(
      facts.ports.listening.map(({ what, failure }) => [what, failure]),
      [
        ['peers', null],
        ['API', null],
      ],
    )
    await new Promise((done) => server.close(done))
    assert.equal(await connectFailure('127.0.0.1', port), 'ECONNREFUSED')
  })
})
