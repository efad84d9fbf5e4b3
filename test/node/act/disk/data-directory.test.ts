import assert from 'node:assert/strict'
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { textOf, utf8 } from '../../../../lib/bytes.ts'
import { TuttiError, type ErrorCode } from '../../../../lib/errors.ts'
import { dataPathsOf, openDataDirectory } from '../../../../node/act/disk/data-directory.ts'

const failsWith =
  (code: ErrorCode, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof TuttiError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }

let root: string
let count = 0
const fresh = (): string => join(root, `${(count += 1)}`)
before(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'tutti-data-')))
})
after(() => rm(root, { recursive: true }))

describe('data directory', () => {
  it('is created with everything in it, for its own user only', async () => {
    const path = join(fresh(), 'deep')
    const data = await openDataDirectory(path)
    const paths = dataPathsOf(path)
    assert.partialDeepStrictEqual(data, paths)
    assert.deepEqual((await readdir(path)).sort(), ['instances', 'lock', 'log', 'output', 'work'])
    assert.equal((await stat(path)).mode & 0o777, 0o700)
    await data.close()
  })

  it('is refused where a file is, and where a socket would not fit', async () => {
    const file = fresh()
    await writeFile(file, '')
    await assert.rejects(openDataDirectory(file), failsWith('invalid', /is not a directory; choose another/))
    await assert.rejects(openDataDirectory(join(file, 'sub')), failsWith('invalid', /is not a directory/))
    await assert.rejects(
      openDataDirectory(join(fresh(), 'x'.repeat(100))),
      failsWith('invalid', /is too long for a socket/),
    )
  })

  it('keeps small values over restarts, replaced as a whole', async () => {
    const path = fresh()
    const data = await openDataDirectory(path)
    assert.equal(await data.readSmall('value'), null)
    await Promise.all(['one', 'two', 'three'].map((text) => data.writeSmall('value', utf8(text))))
    await data.close()
    const again = await openDataDirectory(path)
    assert.equal(textOf((await again.readSmall('value')) ?? new Uint8Array()), 'three')
    assert.equal((await stat(join(path, 'value'))).mode & 0o777, 0o600)
    assert.ok(!(await readdir(path)).some((name) => name.endsWith('.tmp')))
    await again.close()
  })

  it('is not confused by a draft that a crash left', async () => {
    const path = fresh()
    const data = await openDataDirectory(path)
    await data.writeSmall('value', utf8('whole'))
    await writeFile(join(path, 'value.tmp'), 'half')
    assert.equal(textOf((await data.readSmall('value')) ?? new Uint8Array()), 'whole')
    await data.writeSmall('value', utf8('new'))
    assert.equal(textOf((await data.readSmall('value')) ?? new Uint8Array()), 'new')
    await data.close()
  })

  it('takes no name that leads elsewhere or is taken, and no large value', async () => {
    const data = await openDataDirectory(fresh())
    for (const name of ['', '..', '../x', 'a/b', 'lock', 'log', 'tutti.sock', 'value.tmp', 'A'])
      await assert.rejects(data.writeSmall(name, utf8('x')), failsWith('invalid', /not a name/), name)
    await assert.rejects(
      data.writeSmall('value', new Uint8Array(1024 * 1024 + 1)),
      failsWith('too-large', /value would have/),
    )
    await data.close()
  })
})

describe('data directory lock', () => {
  type Child = ChildProcessByStdio<Writable, Readable, null>

  const start = (path: string): { readonly child: Child; readonly says: Promise<string> } => {
    const script = join(import.meta.dirname, 'children', 'hold.ts')
    const child = spawn(process.execPath, [script, path], { stdio: ['pipe', 'pipe', 'inherit'] })
    const says = once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line))
    return { child, says }
  }
  const finish = async (child: Child): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.stdin.end()
    await exited
  }

  it('keeps a second peer off, by any name of the directory, and tells who holds it', async () => {
    const path = fresh()
    const data = await openDataDirectory(path)
    const alias = fresh()
    await symlink(path, alias)
    const { child, says } = start(alias)
    assert.equal(
      await says,
      `another peer (pid ${process.pid}) already runs on ${path}; stop it or choose another --data`,
    )
    await finish(child)
    await assert.rejects(openDataDirectory(path), failsWith('busy', /already runs on/))
    await data.close()
    const again = await openDataDirectory(path)
    await again.close()
    assert.equal(await readFile(join(path, 'lock'), 'utf8'), '')
  })

  it('is free as soon as its holder is killed with SIGKILL', { timeout: 30_000 }, async () => {
    const path = fresh()
    const { child, says } = start(path)
    assert.equal(await says, 'open')
    await assert.rejects(openDataDirectory(path), failsWith('busy', new RegExp(`pid ${child.pid}\\)`)))
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    const data = await openDataDirectory(path)
    await data.close()
  })

  it('stays with its holder while a process that it started lives on', async () => {
    const path = fresh()
    const data = await openDataDirectory(path)
    const instance = spawn('sleep', ['30'], { stdio: 'ignore' })
    await data.close()
    // The instance did not inherit the lock: the next peer can have it.
    const again = await openDataDirectory(path)
    await again.close()
    const exited = once(instance, 'exit')
    instance.kill('SIGKILL')
    await exited
  })

  it('lets exactly one of several simultaneous starters in', { timeout: 30_000 }, async () => {
    const path = fresh()
    const starters = Array.from({ length: 4 }, () => start(path))
    const said = await Promise.all(starters.map(({ says }) => says))
    assert.equal(said.filter((line) => line === 'open').length, 1, said.join(' | '))
    const winner = starters[said.indexOf('open')]?.child.pid
    for (const line of said.filter((line) => line !== 'open'))
      assert.match(line, new RegExp(`^another peer \\(pid ${winner}\\) already runs on`))
    await Promise.all(starters.map(({ child }) => finish(child)))
  })
})
