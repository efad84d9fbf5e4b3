// A machine that systemd runs, for what only a service manager shows: pid, mount, network and group namespaces in which
// systemd is process 1. Its disk outlasts it, so that it can lose its power and boot again. The host's systemd, units,
// groups and settings are not touched. Needs root, systemd's program and util-linux.

import { execFile, spawn } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atExit, isRunning } from './leftovers.ts'
import type { Output } from './peer.ts'
import { Hopeless, until } from './wait.ts'

const run = promisify(execFile)

/** Of every group made here; the pid follows, so that parallel runs do not meet and leftovers show. */
const PREFIX = 'tutti-e2e-machine-'
const BOOT = join(import.meta.dirname, 'systemd-bed.sh')
const PROGRAMS = ['/lib/systemd/systemd', '/usr/lib/systemd/systemd', '/usr/bin/systemd']
// Nothing but what a service of the machine refers to: no unit of the host's is started.
const TARGETS = ['basic', 'local-fs', 'network', 'network-online', 'shutdown', 'sysinit', 'umount']
const COMMAND_MS = 60_000
/** A user that every machine has. */
const NOBODY = 65_534

let machines = 0

/** Null where systemd can be process 1 of a namespace; else one sentence on what is missing, for a loud skip. */
export const systemdBedMissing = async (): Promise<string | null> => {
  if (process.getuid?.() !== 0) return 'a machine of its own for systemd needs root'
  if (!PROGRAMS.some((path) => existsSync(path))) return 'systemd is not installed'
  if (hierarchies().length === 0) return 'no control groups are mounted'
  try {
    await run('unshare', ['--pid', '--fork', '--mount', '--uts', '--ipc', '--net', '--cgroup', 'true'])
    for (const group of groupsOf(`${PREFIX}${process.pid}-probe`)) {
      mkdirSync(group)
      rmdirSync(group)
    }
    return null
  } catch (thrown) {
    return `namespaces with groups are not available here: ${thrown instanceof Error ? thrown.message : String(thrown)}`
  }
}

interface MountedHierarchy {
  readonly point: string
  readonly isUnified: boolean
}

/** Group hierarchies of the host, without the sets of processors and memory banks, which are empty in a new group. */
const hierarchies = (): readonly MountedHierarchy[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [front = '', back = ''] = line.split(' - ')
      const point = front.split(' ')[4] ?? ''
      const [type = '', , options = ''] = back.split(' ')
      const isCpuset = options.split(',').includes('cpuset')
      if (!/^cgroup2?$/.test(type) || !point.startsWith('/sys/fs/cgroup') || isCpuset) return []
      return [{ point, isUnified: type === 'cgroup2' }]
    })

const groupsOf = (name: string): readonly string[] => hierarchies().map(({ point }) => join(point, name))

/** A user of the machine who has services of their own. */
export interface UserManager {
  /** Their default data directory. */
  readonly data: string
  /** Runs a command as they would, to its end. */
  run(command: string, ...words: readonly string[]): Promise<Output>
}

export class SystemdBed {
  readonly directory: string
  readonly #name: string
  readonly #release: () => void
  /** The process that made the namespaces, and systemd in them, by its pid on the host; null: it is off. */
  #machine: { readonly maker: number; readonly init: number } | null = null

  private constructor(directory: string, name: string) {
    this.directory = directory
    this.#name = name
    this.#release = atExit(() => this.#end())
  }

  /** A machine that is off, whose disk is `directory`. */
  static create(directory: string): SystemdBed {
    sweep()
    machines += 1
    const bed = new SystemdBed(directory, `${PREFIX}${process.pid}-${machines}`)
    const units = join(directory, 'units')
    for (const folder of ['etc-systemd/system', 'var/lib', 'units/service.d'])
      mkdirSync(join(directory, folder), { recursive: true })
    for (const name of TARGETS)
      writeFileSync(join(units, `${name}.target`), `[Unit]\nDescription=${name}\nDefaultDependencies=no\n`)
    const wants = 'Requires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n'
    writeFileSync(join(units, 'multi-user.target'), `[Unit]\nDescription=multi-user\n${wants}`)
    symlinkSync('multi-user.target', join(units, 'default.target'))
    // There is no journal: what services print is in a file.
    const output = `StandardOutput=append:${bed.logFile}\nStandardError=inherit\n`
    writeFileSync(join(units, 'service.d/output.conf'), `[Service]\n${output}`)
    return bed
  }

  /** Where version 2 has the controllers, version 1 nothing is mounted of; else both are there, side by side. */
  get layout(): 'unified' | 'hybrid' {
    return hierarchies().every(({ isUnified }) => isUnified) ? 'unified' : 'hybrid'
  }

  /** Version 2 has controllers that can be handed down. */
  get hasControllers(): boolean {
    const unified = hierarchies().find(({ isUnified }) => isUnified)
    if (unified === undefined) return false
    return readFileSync(join(unified.point, 'cgroup.subtree_control'), 'utf8').split(/\s/).includes('memory')
  }

  /** Of `/var` in the machine. */
  get var(): string {
    return join(this.directory, 'var')
  }

  get logFile(): string {
    return join(this.directory, 'services.log')
  }

  /** Switches it on; resolves when systemd has started what is enabled. */
  async boot(): Promise<void> {
    const groups = groupsOf(this.#name)
    for (const group of groups) mkdirSync(group, { recursive: true })
    const joins = groups.map((group) => `echo 0 >'${group}/cgroup.procs'`).join(' && ')
    const spaces = '--pid --fork --kill-child --mount --propagation private --mount-proc --uts --ipc --net'
    const points = hierarchies().map(({ point }) => point)
    // In two steps: who makes the namespaces stays outside of the groups, or none could hand controllers down.
    const become = ['sh', '-c', `${joins} && exec unshare --cgroup sh "$@"`, 'sh', BOOT]
    const words = [...spaces.split(' '), ...become, this.directory, this.#name, this.layout, ...points]
    const child = spawn('unshare', words, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (text: Buffer) => (said += text.toString()))
    const maker = child.pid
    if (maker === undefined) throw new Error('unshare cannot be started')
    await until('systemd runs', async () => {
      if (child.exitCode !== null) throw new Hopeless(`the machine did not start: ${said}`)
      const init = Number(readFileSync(`/proc/${maker}/task/${maker}/children`, 'utf8').trim())
      if (!readFileSync(`/proc/${init}/cmdline`, 'utf8').includes('--system')) return false
      this.#machine = { maker, init }
      const { stdout } = await this.run('systemctl', 'is-system-running')
      return /^(running|degraded)/.test(stdout)
    })
  }

  /** Runs a command in the machine, as its root, to its end. */
  async run(command: string, ...words: readonly string[]): Promise<Output> {
    if (this.#machine === null) throw new Error('the machine is off')
    const spaces = ['--mount', '--pid', '--net', '--uts', '--ipc', '--cgroup']
    const enter = ['--target', String(this.#machine.init), ...spaces, '--wd=/', '--', command, ...words]
    const { TUTTI_PEER: _, TUTTI_TICKET: __, TUTTI_DATA: ___, ...environment } = process.env
    return await new Promise((done) => {
      const options = { timeout: COMMAND_MS, env: { ...environment, HOME: '/root' } }
      execFile('nsenter', enter, options, (failure, stdout, stderr) => {
        const code = failure === null ? 0 : typeof failure.code === 'number' ? failure.code : null
        done({ code, stdout, stderr })
      })
    })
  }

  /** A manager of `nobody`'s own, as a login would start it. Resolves when it runs. */
  async startManager(): Promise<UserManager> {
    const home = join(this.var, 'lib/nobody')
    const units = join(home, 'units')
    mkdirSync(units, { recursive: true })
    for (const name of ['basic', 'default', 'paths', 'shutdown', 'sockets', 'timers'])
      writeFileSync(join(units, `${name}.target`), `[Unit]\nDescription=${name}\nDefaultDependencies=no\n`)
    chownSync(home, NOBODY, NOBODY)
    const environment = ['HOME=/var/lib/nobody', 'XDG_RUNTIME_DIR=/run/nobody']
    const path = 'SYSTEMD_UNIT_PATH=/var/lib/nobody/.config/systemd/user:/var/lib/nobody/units'
    // As user@.service has it.
    const lines = [
      '[Service]',
      'Type=notify',
      `User=${NOBODY}`,
      'RuntimeDirectory=nobody',
      'Delegate=pids memory cpu',
      `Environment=${[...environment, path].join(' ')}`,
      `ExecStart=${PROGRAMS.find((program) => existsSync(program)) ?? ''} --user`,
      'KillMode=mixed',
    ]
    writeFileSync(join(this.directory, 'units/manager.service'), `${lines.join('\n')}\n`)
    const { code, stderr } = await this.run('systemctl', 'start', 'manager.service')
    if (code !== 0) throw new Error(`no manager of a user: ${stderr}`)
    const become = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', 'env', ...environment]
    return {
      data: join(home, '.local/state/tutti'),
      run: (command, ...words) => this.run('setpriv', ...become, command, ...words),
    }
  }

  /** What systemd says of a unit. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.run('systemctl', 'show', '--value', '-p', property, unit)).stdout.trim()
  }

  /** Ends everything in it at once, as when the power fails. The disk stays. */
  async powerCut(): Promise<void> {
    const machine = this.#machine
    this.#end()
    if (machine !== null) await until('the machine is off', () => !isRunning(machine.maker))
    await until('its groups are gone', () => removed(groupsOf(this.#name)))
  }

  /** For a failed test: what systemd says of a unit, and what services printed. */
  async story(unit: string): Promise<string> {
    const status = this.#machine === null ? 'off' : (await this.run('systemctl', 'status', unit)).stdout
    const log = existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''
    return `--- ${unit}\n${status}\n${log}`
  }

  async close(): Promise<void> {
    await this.powerCut()
    this.#release()
  }

  #end(): void {
    const machine = this.#machine
    this.#machine = null
    // The kernel ends everybody else in the namespace with its process 1.
    if (machine !== null && isRunning(machine.init)) process.kill(machine.init, 'SIGKILL')
  }
}

/** Takes groups away, with those below them. True: none is left. */
const removed = (groups: readonly string[]): boolean => {
  for (const group of groups.filter((one) => existsSync(one))) {
    const below = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    removed(below.map(({ name }) => join(group, name)))
    rmdirSync(group)
  }
  return true
}

/** Ends and removes what a run left that was killed. */
const sweep = (): void => {
  for (const { point, isUnified } of hierarchies()) {
    for (const name of readdirSync(point)) {
      const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
      if (pid === undefined || isRunning(Number(pid))) continue
      try {
        if (isUnified) writeFileSync(join(point, name, 'cgroup.kill'), '1', { flag: 'r+' })
        removed([join(point, name)])
      } catch {
        // Somebody is still in it.
      }
    }
  }
}
