// Exec: commands in instances of other peers, as a person at a terminal and a script meet them: bytes, exit codes, signals,
// terminals, and nothing that stays behind.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { applyOf, Fleet, idle, type Peer, ready, until } from './support/fleet.ts'

const TUTTI = resolve(import.meta.dirname, '../../bin/tutti')

let fleet: Fleet
let asked: Peer
/** A slot on a peer that is not asked. */
let far: string
/** A slot of the peer that is asked. */
let near: string
let directory: string

before(async () => {
  fleet = await Fleet.create()
  const [first] = await fleet.grow(3)
  assert.ok(first !== undefined)
  asked = first
  directory = join(fleet.directory, 'work')
  await mkdir(directory)
  const web = idle('web', { replicas: 3, environment: { HELLO: 'world' }, workingDir: directory })
  await asked.change(applyOf(web))
  const instances = await ready(asked, 'web', 3)
  far = instances.find(({ peer }) => peer !== asked.name)?.slot ?? ''
  near = instances.find(({ peer }) => peer === asked.name)?.slot ?? far
  assert.notEqual(far, '', 'an instance runs on another peer')
})
after(() => fleet.close())

interface Ended {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

const start = (words: readonly string[], options: readonly string[] = []): ChildProcess =>
  spawn(TUTTI, ['exec', '--peer', asked.socket, ...options, ...words], { stdio: 'pipe' })

const ended = (child: ChildProcess): Promise<Ended> =>
  new Promise((done, failed) => {
    const parts: Buffer[] = []
    let stderr = ''
    child.stdout?.on('data', (part: Buffer) => parts.push(part))
    child.stderr?.on('data', (part: Buffer) => (stderr += String(part)))
    child.once('error', failed)
    child.once('close', (code) => done({ code, stdout: Buffer.concat(parts), stderr }))
  })

const exec = (
  words: readonly string[],
  input: Buffer | string = '',
  options: readonly string[] = [],
): Promise<Ended> => {
  const child = start(words, options)
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  return ended(child)
}

/** Living `sleep`s of this many seconds. */
const processesWith = (word: string): readonly string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      const [program = '', argument] = text.split('\0')
      return /(^|\/)sleep$/.test(program) && argument === word
    } catch {
      return false
    }
  })

let numbers = 700_000
/** A `sleep` that no other test has. */
const uniqueSleep = (): string => String((numbers += 1) + process.pid * 1_000_000)

describe('exec', () => {
  it('runs on the peer that has the instance, with its environment and directory', async () => {
    for (const slot of [far, near]) {
      const { code, stdout, stderr } = await exec([
        slot,
        '--',
        'sh',
        '-c',
        'echo $HELLO $TUTTI_SLOT; pwd; echo oops >&2',
      ])
      assert.equal(String(stdout), `world ${slot}\n${directory}\n`)
      assert.equal(stderr, 'oops\n')
      assert.equal(code, 0)
    }
    const { stdout } = await exec([far, 'sh', '-c', 'echo $A $B; pwd'], '', [
      '-e',
      'A=1',
      '-e',
      'B=x y',
      '-w',
      '..',
    ])
    assert.equal(String(stdout), `1 x y\n${fleet.directory}\n`)
  })

  it('chooses an instance of a service, and says which where there are several', async () => {
    const { stdout, stderr } = await exec(['e2e/web', '--', 'printenv', 'TUTTI_SLOT'])
    assert.equal(String(stdout), 'e2e/web/0\n')
    assert.match(stderr, /^tutti: in e2e\/web\/0 on peer p\d, one of 3 that run$/m)
  })

  it('hands the exit code on: the status, 128 and the signal, 127 for what is not there', async () => {
    assert.equal((await exec([far, '--', 'sh', '-c', 'exit 7'])).code, 7)
    assert.equal((await exec([far, '--', 'sh', '-c', 'kill -9 $$'])).code, 137)
    assert.equal((await exec([far, '--', 'sh', '-c', 'kill -TERM $$'])).code, 143)
    const missing = await exec([far, '--', 'no-such-program'])
    assert.equal(missing.code, 127)
    assert.match(missing.stderr, /^tutti: command 'no-such-program' is not on the PATH of peer 'p\d'; .*\n$/)
  })

  it('says in one sentence what is not there', async () => {
    for (const [words, pattern] of [
      [['e2e/wep', 'true'], /no service 'e2e\/wep'; did you mean 'e2e\/web'/],
      [['e2e/web/7', 'true'], /no slot 'e2e\/web\/7'/],
    ] as const) {
      const { code, stderr } = await exec(words)
      assert.equal(code, 3)
      assert.match(stderr, pattern)
      assert.equal(stderr.trim().split('\n').length, 1)
    }
  })

  it('carries 50 MB both ways unchanged, and ends with its input', async () => {
    const input = randomBytes(50_000_000)
    const { code, stdout, stderr } = await exec([far, '--', 'cat'], input)
    assert.equal(stderr, '')
    assert.equal(code, 0)
    assert.equal(stdout.length, input.length)
    const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
    assert.equal(digestOf(stdout), digestOf(input))
  })

  it('ends the command and all that it started when the caller is killed (S10)', async () => {
    const number = uniqueSleep()
    // One in the group, one in a session of its own.
    const child = start([far, '--', 'sh', '-c', `setsid sleep ${number} & sleep ${number}`])
    await until('both run', () => processesWith(number).length === 2)
    const end = ended(child)
    child.kill('SIGKILL')
    await end
    await until('none is left', () => processesWith(number).length === 0)
  })

  it('leaves nothing behind when the command ends by itself (S10)', async () => {
    const number = uniqueSleep()
    const { code, stdout } = await exec([far, '--', 'sh', '-c', `setsid sleep ${number} & echo done`])
    assert.deepEqual([code, String(stdout)], [0, 'done\n'])
    assert.deepEqual(processesWith(number), [])
  })

  it('passes a signal on, and ends at its --timeout', async () => {
    const child = start([
      far,
      '--',
      'sh',
      '-c',
      'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.05; done',
    ])
    let heard = ''
    child.stdout?.on('data', (part: Buffer) => (heard += String(part)))
    await until('it is ready', () => heard.includes('ready'))
    const end = ended(child)
    child.kill('SIGINT')
    assert.equal((await end).code, 9)
    assert.match(heard, /caught/)
    const number = uniqueSleep()
    const late = await exec([far, '--', 'sleep', number], '', ['--timeout', '1s'])
    assert.equal(late.code, 4)
    await until('nothing is left', () => processesWith(number).length === 0)
  })

  it('tells the events who ran what where', async () => {
    await exec([far, '--', 'echo', 'for the record'])
    const { stdout } = await asked.cli('events')
    assert.match(
      stdout,
      new RegExp(`exec ${far} runs echo 'for the record', asked through peer ${asked.name}`),
    )
    assert.match(stdout, new RegExp(`exec ${far} echo 'for the record' ended after .*: exit status 0`))
  })

  it('ends with its instance', async () => {
    const number = uniqueSleep()
    const child = start([near, '--', 'sleep', number])
    await until('it runs', () => processesWith(number).length === 1)
    const end = ended(child)
    await asked.change({ kind: 'restart', service: 'e2e/web' })
    // Whatever is in the instance's control group gets its stop signal too; SIGKILL is for what outlives the instance.
    assert.ok([143, 137].includes((await end).code ?? 0))
    await ready(asked, 'web', 3)
  })
})

// A terminal of our own for the command line, in the one language that brings pseudo terminals along.
const PYTHON = `
import fcntl, os, pty, select, struct, sys, termios, time
def size(rows, columns): fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
heard = b''
def wait(text):
    global heard
    end = time.monotonic() + 30
    while text not in heard:
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]: sys.exit('no %r in %r' % (text, heard))
        try: heard += os.read(fd, 65536)
        except OSError: sys.exit('ended before %r in %r' % (text, heard))
    heard = heard[heard.index(text) + len(text):]
pid, fd = pty.fork()
if pid == 0:
    time.sleep(0.2)
    os.execv(sys.argv[1], sys.argv[1:])
size(33, 99)
before = termios.tcgetattr(fd)
wait(b'# ' if os.getuid() == 0 else b'$ ')
os.write(fd, b'stty size; echo H:$HELLO\\n'); wait(b'\\r\\n33 99\\r\\nH:world\\r\\n')
size(40, 120)
# The new size arrives when it arrives.
os.write(fd, b'while [ "$(stty size)" != "40 120" ]; do sleep 0.05; done; echo SE""EN\\n'); wait(b'SEEN')
os.write(fd, b'echo RU""NS; sleep 1000; echo $?=CO""DE\\n'); wait(b'RUNS'); time.sleep(0.3); os.write(fd, b'\\x03')
os.write(fd, b'echo ON""WARD\\n'); wait(b'ONWARD')
os.write(fd, b'exit 5\\n')
while True:
    try:
        if not os.read(fd, 65536): break
    except OSError: break
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(0 if code == 5 else 'exit code %d' % code)
`
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0

describe('exec in a terminal', () => {
  it(
    'is a shell with the window’s size, its changes, Ctrl-C and an exit code',
    { skip: hasPython ? false : 'python3 is not here to bring a terminal' },
    async () => {
      const child = spawn('python3', ['-c', PYTHON, TUTTI, 'exec', '--peer', asked.socket, far, '--', 'sh'])
      const { code, stderr } = await ended(child)
      assert.equal(code, 0, stderr)
    },
  )

  it('is refused where stdin is no terminal', async () => {
    const { code, stderr } = await exec([far, '--', 'true'], '', ['-t'])
    assert.equal(code, 2)
    assert.match(stderr, /-t needs a terminal/)
  })
})
