import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { Files } from '../../../../crdt/log/files.ts'
import { LogStore } from '../../../../crdt/log/store.ts'
import type { Frame, Loaded } from '../../../../crdt/store.ts'
import { textOf, utf8 } from '../../../../lib/bytes.ts'
import { messageOf, TuttiError } from '../../../../lib/errors.ts'
import { directoryFiles } from '../../../../node/act/disk/files.ts'
import { DiskStore } from '../../../../node/act/disk/log-store.ts'
import { frame, storeContract, texts } from '../../../contracts/store.ts'

const run = promisify(execFile)
const scratch = (): Promise<string> => mkdtemp(join(tmpdir(), 'tutti-store-'))

storeContract('DiskStore', async () => {
  const directory = await scratch()
  return {
    open: () => new DiskStore(join(directory, 'log')),
    dispose: () => rm(directory, { recursive: true }),
  }
})

const load = async (directory: string): Promise<Loaded> => {
  const store = new DiskStore(directory)
  const loaded = await store.load()
  await store.close()
  return loaded
}

describe('DiskStore', () => {
  let root: string
  let count = 0
  const fresh = (): string => join(root, `${(count += 1)}`)
  before(async () => {
    root = await scratch()
  })
  after(() => rm(root, { recursive: true }))

  it('creates its directory and files for its own user only', async () => {
    const directory = join(fresh(), 'deep', 'log')
    const store = new DiskStore(directory)
    await store.load()
    await store.append([frame('a')])
    await store.close()
    assert.equal((await stat(directory)).mode & 0o777, 0o700)
    assert.equal((await stat(join(directory, 'log-00000001'))).mode & 0o777, 0o600)
  })

  it('finds the exact valid prefix of a log that is cut at any byte', async () => {
    const directory = fresh()
    const store = new DiskStore(directory)
    await store.load()
    const wanted = ['a', 'bb', 'ccc']
    for (const text of wanted) await store.append([frame(text)])
    await store.close()
    const path = join(directory, 'log-00000001')
    const whole = await readFile(path)
    let end = 12
    const ends = wanted.map((text) => (end += 16 + text.length))
    for (let cut = 12; cut <= whole.length; cut += 1) {
      await writeFile(path, whole.subarray(0, cut))
      const loaded = await load(directory)
      const kept = ends.filter((end) => end <= cut)
      assert.deepEqual(texts(loaded.frames), wanted.slice(0, kept.length), `cut at ${cut}`)
      assert.equal(loaded.damage === null, (kept.at(-1) ?? 12) === cut, `cut at ${cut}`)
      // The torn tail is gone from the file, too.
      assert.equal((await stat(path)).size, kept.at(-1) ?? 12)
    }
  })

  it('shares one sync among the appends of one turn, and another among those made meanwhile', async () => {
    let syncs = 0
    const real = directoryFiles(fresh())
    const counting: Files = {
      ...real,
      async open(name, mode) {
        const file = await real.open(name, mode)
        return {
          ...file,
          sync: (scope) => {
            syncs += 1
            return file.sync(scope)
          },
        }
      },
    }
    const store = new LogStore(counting)
    await store.load()
    syncs = 0
    const first = Array.from({ length: 50 }, () => store.append([frame('a')]))
    await Promise.resolve()
    await Promise.resolve()
    const second = Array.from({ length: 50 }, () => store.append([frame('b')]))
    await Promise.all([...first, ...second])
    assert.equal(syncs, 2)
    await store.close()
  })

  it('S2: loses no acknowledged record to kill -9', { timeout: 30_000 }, async () => {
    const directory = fresh()
    const child = join(import.meta.dirname, 'children', 'append.ts')
    const acknowledged = new Set<string>()
    for (const enough of [30, 77, 140]) {
      const process_ = spawn(process.execPath, [child, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
      const exited = once(process_, 'exit')
      let printed = 0
      for await (const line of createInterface({ input: process_.stdout })) {
        acknowledged.add(line)
        printed += 1
        if (printed === enough) process_.kill('SIGKILL')
      }
      await exited
      const loaded = await load(directory)
      const found = new Set([
        ...(loaded.snapshot === null ? [] : textOf(loaded.snapshot.document).split(' ')),
        ...texts(loaded.frames).map((text) => text.trimEnd()),
      ])
      assert.deepEqual(
        [...acknowledged].filter((number) => !found.has(number)),
        [],
      )
      assert.ok(printed >= enough)
    }
  })

  it('refuses on a full disk and works again once there is space', async (context) => {
    const mountPoint = fresh()
    await mkdir(mountPoint)
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mountPoint])
    } catch (error) {
      context.skip(`cannot mount a small tmpfs here: ${messageOf(error)}`)
      return
    }
    const directory = join(mountPoint, 'log')
    const store = new DiskStore(directory)
    try {
      const filler = join(mountPoint, 'filler')
      await writeFile(filler, new Uint8Array(176 * 1024))
      await store.load()
      const acknowledged: string[] = []
      const fill = async (): Promise<unknown> => {
        for (let number = 0; number < 200; number += 1) {
          const text = `${acknowledged.length}`.padEnd(3000)
          try {
            await store.append([frame(text)])
          } catch (error) {
            return error
          }
          acknowledged.push(text)
        }
        return null
      }
      const refusal = await fill()
      assert.ok(refusal instanceof TuttiError && refusal.code === 'storage')
      assert.equal(
        refusal.message,
        `the disk is full: 1 record could not be written to ${directory}; free some space and try again`,
      )
      await assert.rejects(
        store.writeSnapshot({ document: new Uint8Array(64 * 1024), frames: [] }),
        /the disk is full/,
      )
      await rm(filler)
      const before = acknowledged.length
      await store.append([frame('after')])
      acknowledged.push('after')
      await store.writeSnapshot({
        document: utf8('A'),
        frames: acknowledged.map((text): Frame => frame(text)),
      })
      await store.close()
      const loaded = await load(directory)
      assert.ok(before > 10, `${before}`)
      assert.deepEqual(texts(loaded.snapshot?.frames ?? []), acknowledged)
      assert.equal(loaded.damage, null)
    } finally {
      await store.close()
      await run('umount', [mountPoint])
    }
  })

  it('says in one sentence that it may not write there', async () => {
    const file = fresh()
    await writeFile(file, 'a file')
    await assert.rejects(
      new DiskStore(join(file, 'log')).load(),
      (error) => error instanceof TuttiError && error.code === 'storage' && error.message.includes(file),
    )
  })
})
