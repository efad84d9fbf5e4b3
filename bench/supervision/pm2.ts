// pm2 from npm, beside which the supervision bench measures. It is fetched into the cache by npm and is no dependency of
// the project: it is under the AGPL, brings 77 packages of 25 MB, and nothing but this bench ever runs it. Each run has a
// PM2_HOME of its own, so no pm2 of this machine is touched.

import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '../../lib/errors.ts'
import type { Roll } from './roll.ts'

const run = promisify(execFile)

/** Pinned, so that two runs measure the same thing. */
export const PM2_VERSION = '7.0.4'
const INSTALL_TIMEOUT_MS = 90_000
const COMMAND_TIMEOUT_MS = 60_000

/** The file that runs as pm2; null, said loudly, where npm cannot fetch it. */
const install = async (): Promise<string | null> => {
  const folder = resolve(import.meta.dirname, `../../.cache/bench/pm2-${PM2_VERSION}`)
  const file = join(folder, 'node_modules/pm2/bin/pm2')
  if (existsSync(file)) return file
  mkdirSync(folder, { recursive: true })
  try {
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
    await run('npm', ['install', ...options, `pm2@${PM2_VERSION}`], { timeout: INSTALL_TIMEOUT_MS })
    return file
  } catch (thrown) {
    process.stderr.write(
      `\nNO COMPARISON: npm cannot fetch pm2@${PM2_VERSION} (${messageOf(thrown).split('\n')[0]}).\n` +
        'Every figure beside pm2 is missing from this run.\n\n',
    )
    return null
  }
}

export class Pm2 {
  readonly #file: string
  readonly #home: string

  private constructor(file: string, home: string) {
    this.#file = file
    this.#home = home
  }

  /** A pm2 with a home of its own below `directory`; null where there is none to be had. */
  static async create(directory: string): Promise<Pm2 | null> {
    const file = await install()
    if (file === null) return null
    const home = join(directory, 'pm2')
    mkdirSync(home)
    return new Pm2(file, home)
  }

  /** Starts the daemon, which no measurement includes. */
  async wake(): Promise<void> {
    await this.#command('ping')
  }

  /** Milliseconds from the command until all run. */
  async start(roll: Roll, count: number): Promise<number> {
    const file = join(this.#home, `ecosystem-${count}.json`)
    const app = {
      name: 'web',
      script: roll.program,
      interpreter: 'none',
      exec_mode: 'fork',
      instances: count,
      restart_delay: 0,
      // It would look for a git repository at each start.
      vizion: false,
      out_file: join(this.#home, 'out.log'),
      error_file: join(this.#home, 'error.log'),
      merge_logs: true,
    }
    writeFileSync(file, JSON.stringify({ apps: [app] }))
    roll.clear()
    const from = performance.now()
    const command = this.#command('start', file)
    const atMs = await roll.until(count)
    await command
    return atMs - from
  }

  /** Ends the daemon and everything that it started. */
  async kill(): Promise<void> {
    await this.#command('kill')
  }

  async #command(...args: readonly string[]): Promise<void> {
    await run(process.execPath, [this.#file, ...args, '--silent'], {
      timeout: COMMAND_TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, PM2_HOME: this.#home, NODE_OPTIONS: '' },
    })
  }
}
