// Units and their installation: the text as systemd reads it, files below a root directory, and what is asked of a service
// manager, with a manager of the test's own.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Failure, UsageError } from '../../../cli/exit.ts'
import { installUnit, removeUnit, unitPathOf, type Place } from '../../../cli/service/install.ts'
import { fleetingReason, servicePath } from '../../../cli/service/launch-path.ts'
import type { ServiceManager } from '../../../cli/service/systemd.ts'
import { dataOfUnit, differenceOf, unitFileOf, unitOf, type UnitOptions } from '../../../cli/service/unit.ts'
import { parseUpWords } from '../../../cli/tree/up-options.ts'
import { tutti } from '../fake.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tutti-service-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
let made = 0
const fresh = (): string => {
  made += 1
  const folder = join(scratch, String(made))
  mkdirSync(folder)
  return folder
}

const options: UnitOptions = {
  launcher: '/opt/tutti/bin/tutti',
  data: '/var/lib/tutti',
  options: ['--name', 'a'],
  path: '/usr/local/bin:/usr/bin:/bin',
  user: false,
}

const placeIn = (root: string | null, over: Partial<Place> = {}): Place => ({
  name: 'tutti',
  user: false,
  root,
  config: '/home/u/.config',
  ...over,
})

/** A manager that notes what it is asked; `config` of a user's place leads into a scratch folder. */
const noting = (over: Partial<ServiceManager> = {}) => {
  const asked: string[] = []
  const manager: ServiceManager = {
    missing: () => null,
    control: (args) => void asked.push(args.join(' ')),
    linger: () => null,
    ...over,
  }
  return { asked, manager }
}

const never = (): Promise<boolean> => Promise.reject(new Error('nothing was to be asked'))

describe('a unit', () => {
  it('is this text', () => {
    assert.equal(
      unitOf(options),
      `# Written by tutti install-service; tutti uninstall-service removes it.
[Unit]
Description=tutti peer
Wants=network-online.target
After=network-online.target
RequiresMountsFor="/var/lib/tutti"
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart="/opt/tutti/bin/tutti" "up" "--data" "/var/lib/tutti" "--name" "a"
Environment="PATH=/usr/local/bin:/usr/bin:/bin"
Restart=always
RestartSec=100ms
ExecStopPost=/bin/sh -c "[ $$SERVICE_RESULT != exit-code ] || sleep 2"
KillMode=process
TimeoutStopSec=20s
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
OOMScoreAdjust=-900
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`,
    )
  })

  it('of a user asks for nothing that only root may have', () => {
    const unit = unitOf({ ...options, user: true })
    assert.doesNotMatch(unit, /network-online|LimitNOFILE|OOMScoreAdjust/)
    assert.match(unit, /WantedBy=default\.target/)
  })

  it('keeps words whole, whatever is in them, and gives its data directory back', () => {
    const data = '/srv/a b/50%/$HOME/"q"\\x'
    const unit = unitOf({ ...options, data })
    assert.match(unit, /"\/srv\/a b\/50%%\/\$\$HOME\/\\"q\\"\\\\x"/)
    assert.equal(dataOfUnit(unit), data)
    assert.equal(dataOfUnit('[Service]\nExecStart=/bin/true\n'), null)
    assert.throws(() => unitOf({ ...options, options: ['--name', 'a\nExecStart=/bin/sh'] }), UsageError)
  })

  it('has a name that systemd takes', () => {
    assert.equal(unitFileOf('tutti-2'), 'tutti-2.service')
    for (const name of ['', 'a/b', '../x', 'a b', 'x.service', '-x'])
      assert.throws(() => unitFileOf(name), UsageError)
  })

  it('shows what a change changes', () => {
    const changed = unitOf({ ...options, options: ['--name', 'b'] })
    assert.deepEqual(
      differenceOf(unitOf(options), changed).map((line) => line.slice(0, 2) + line.slice(-3)),
      ['- "a"', '+ "b"'],
    )
  })

  const analyze = spawnSync('systemd-analyze', ['--version']).error === undefined
  if (!analyze)
    process.stderr.write('SKIPPED: units are not verified: systemd-analyze is not installed here\n')
  it('is valid by systemd itself', { skip: !analyze }, () => {
    for (const user of [false, true]) {
      // What it starts must exist, or systemd complains about that.
      const unit = unitOf({ ...options, launcher: '/bin/sh', data: '/srv/a b/50%', user })
      const path = join(fresh(), 'tutti.service')
      writeFileSync(path, unit)
      const args = [user ? '--user' : '--system', '--man=no', 'verify', path]
      const { stderr, status } = spawnSync('systemd-analyze', args, {
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: scratch },
      })
      const about = stderr.split('\n').filter((line) => line.includes('tutti.service'))
      assert.deepEqual(about, [])
      assert.equal(status, 0, stderr)
    }
  })
})

describe('installing', () => {
  const unit = unitOf(options)

  it('below a root directory writes the unit and the link that starts it at boot, and asks no manager', async () => {
    const root = fresh()
    const { asked, manager } = noting({ missing: () => 'no systemd here' })
    const installed = await installUnit(placeIn(root), unit, manager, never)
    assert.equal(installed.path, join(root, 'etc/systemd/system/tutti.service'))
    assert.equal(readFileSync(installed.path, 'utf8'), unit)
    const wanted = join(root, 'etc/systemd/system/multi-user.target.wants/tutti.service')
    assert.equal(readlinkSync(wanted), '../tutti.service')
    assert.deepEqual(asked, [])
    assert.equal((await installUnit(placeIn(root), unit, manager, never)).kind, 'same')
    assert.equal(removeUnit(placeIn(root), manager, false), true)
    assert.ok(!existsSync(wanted) && !existsSync(installed.path))
    assert.equal(removeUnit(placeIn(root), manager, false), false)
  })

  it('on a machine reloads, enables and starts; removing disables and stops', async () => {
    const place = placeIn(null, { user: true, config: fresh() })
    const { asked, manager } = noting()
    assert.equal((await installUnit(place, unit, manager, never)).kind, 'written')
    assert.deepEqual(asked.splice(0), ['daemon-reload', 'enable tutti.service', 'start tutti.service'])
    assert.equal((await installUnit(place, unit, manager, never)).kind, 'same')
    assert.deepEqual(asked.splice(0), ['enable tutti.service', 'start tutti.service'])
    assert.equal(removeUnit(place, manager, false), true)
    assert.deepEqual(asked, ['disable --now tutti.service', 'daemon-reload'])
  })

  it('shows what would change of another unit, and changes nothing unless the person agrees', async () => {
    const place = placeIn(null, { user: true, config: fresh() })
    const { asked, manager } = noting()
    await installUnit(place, unit, manager, never)
    asked.splice(0)
    const other = unitOf({ ...options, options: ['--name', 'b'] })
    const questions: string[] = []
    const answering = (answer: boolean) => (question: string, difference: readonly string[]) => {
      questions.push(question, ...difference)
      return Promise.resolve(answer)
    }
    await assert.rejects(installUnit(place, other, manager, answering(false)), /was left as it is/)
    assert.match(questions[0] ?? '', /exists with other options; replace it\?/)
    assert.match(questions.join('\n'), /^- ExecStart=.*"a"$/m)
    assert.equal(readFileSync(unitPathOf(place), 'utf8'), unit)
    assert.deepEqual(asked, [])
    assert.equal((await installUnit(place, other, manager, answering(true))).kind, 'replaced')
    assert.deepEqual(asked, ['daemon-reload', 'enable tutti.service', 'restart tutti.service'])
  })

  it('leaves a unit that somebody else wrote', () => {
    const root = fresh()
    const path = unitPathOf(placeIn(root))
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, '[Service]\n')
    const { manager } = noting()
    assert.throws(() => removeUnit(placeIn(root), manager, false), /not written by tutti/)
    assert.ok(existsSync(path))
    assert.equal(removeUnit(placeIn(root), manager, true), true)
  })

  it('is refused in one sentence where there is no such manager, before anything is written', async () => {
    const place = placeIn(null, { user: true, config: fresh() })
    const { manager } = noting({ missing: () => 'systemd does not run this machine' })
    await assert.rejects(installUnit(place, unit, manager, never), (thrown) => {
      assert.ok(thrown instanceof Failure)
      return /systemd does not run/.test(thrown.message)
    })
    assert.ok(!existsSync(unitPathOf(place)))
  })

  it('says when a user service will not start at boot', async () => {
    const place = placeIn(null, { user: true, config: fresh() })
    const { manager } = noting({ linger: () => 'access denied' })
    const { warnings } = await installUnit(place, unit, manager, never)
    assert.match(warnings.join(), /not at boot \(access denied\).*loginctl enable-linger/)
  })
})

describe('the launch path', () => {
  it('is told to be fleeting in temporary folders and caches', () => {
    for (const path of [
      '/tmp/t/bin/tutti',
      '/root/.npm/_npx/1f/node_modules/tutti/bin/tutti',
      '/dev/shm/bin/tutti',
    ])
      assert.match(fleetingReason(path, '/tmp') ?? '', /install tutti in a folder of its own/)
    assert.equal(fleetingReason('/opt/tutti/bin/tutti', '/tmp'), null)
  })

  it("gives a service the person's PATH without npm's folders and relative ones", () => {
    assert.equal(servicePath('/p/node_modules/.bin:/usr/bin:.:/usr/bin:/n/bin'), '/usr/bin:/n/bin')
    assert.match(servicePath(undefined), /^\/usr\/local\/sbin:/)
  })
})

describe('tutti install-service', () => {
  const environment = { PATH: '/usr/bin:/bin', HOME: '/home/u', TUTTI_DATA: '/srv/t' }
  const run = (...words: readonly string[]) => tutti(['install-service', ...words], { environment })

  it('prints the unit with the options of up, and changes nothing', async () => {
    const { code, stdout } = await run('--print', '--', '--name', 'a', '--label', 'zone=eu-1', 'gpu=yes')
    assert.equal(code, 0)
    assert.match(
      stdout,
      /^ExecStart="\/.*\/bin\/tutti" "up" "--data" "\/srv\/t" "--name" "a" "--label" "zone=eu-1" "gpu=yes"$/m,
    )
  })

  it('leaves no option of up out of the unit, and secrets nowhere in it', async () => {
    const words = '--name a --listen /ip4/0.0.0.0/tcp/7701 --api 127.0.0.1:7700 --label zone=eu-1'.split(' ')
    const { code, stdout, stderr } = await tutti(
      ['install-service', '--print', '--', ...words, '--package-budget', '20G', '--log-level', 'debug'],
      { environment: { ...environment, TUTTI_TICKET: 'tutti1-secret' } },
    )
    assert.equal(code, 0, stderr)
    const quoted = [...words, '--package-budget', String(20 * 1024 ** 3), '--log-level', 'debug'].map(
      (word) => `"${word}"`,
    )
    assert.ok(stdout.includes(` "--data" "/srv/t" ${quoted.join(' ')}\n`), stdout)
    assert.doesNotMatch(stdout, /secret/)
    const flags = parseUpWords(['--package-budget', String(20 * 1024 ** 3)])
    assert.equal(flags.packageBudget, 20 * 1024 ** 3)
  })

  it('installs below a root directory and removes it again', async () => {
    const root = fresh()
    const installed = await run('--root', root, '--name', 'peer')
    assert.equal(installed.code, 0, installed.stderr)
    assert.ok(existsSync(join(root, 'etc/systemd/system/peer.service')))
    const removed = await tutti(['uninstall-service', '--root', root, '--name', 'peer'], { environment })
    assert.equal(removed.code, 0, removed.stderr)
    assert.equal((await run('--remove', '--root', root, '--name', 'peer')).code, 1)
  })

  it('asks before it replaces a unit, with what would change', async () => {
    const root = fresh()
    await run('--root', root)
    const refused = await run('--root', root, '--', '--name', 'b')
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /^\+ ExecStart=.*"b"$/m)
    assert.match(refused.stderr, /add --yes/)
    assert.equal((await run('--root', root, '--yes', '--', '--name', 'b')).code, 0)
    assert.match(readFileSync(join(root, 'etc/systemd/system/tutti.service'), 'utf8'), /"b"/)
  })

  it('refuses what up would refuse, and tickets where nothing starts', async () => {
    for (const [words, sentence] of [
      [['--', '--nmae', 'a'], /unknown option '--nmae'/],
      [['--', '--name', 'A!'], /not a peer's name/],
      [['--', '--listen', 'here'], /not an address to listen on/],
      [['--', '--data', '/x'], /before --/],
      [['--', '--join', 'tutti1-abc'], /a ticket is a secret/],
      [['--', '--join', '/ip4/1.2.3.4/tcp/1'], /joins with a ticket/],
      [['--', '--token', 'x'], /joins with a ticket/],
      [['--name', 'a/b'], /not a name for a service/],
    ] as const) {
      const { code, stderr } = await run('--print', ...words)
      assert.equal(code, 2, stderr)
      assert.match(stderr, sentence)
    }
  })

  const booted = existsSync('/run/systemd/system')
  it('says in one sentence that there is no systemd', { skip: booted }, async () => {
    const { code, stderr } = await run('--user')
    assert.equal(code, 1)
    assert.match(stderr, /systemd does not run this machine; take the unit from --print/)
  })
})

describe('an instance', () => {
  /** What a program under the shim reads as its own score, when the peer has `score`. */
  const scoreUnder = (score: number): string => {
    const folder = fresh()
    execFileSync('mkfifo', [join(folder, 'alive')])
    const shim = join(import.meta.dirname, '../../../node/act/drivers/process/shim.sh')
    const script = `echo ${score} >/proc/self/oom_score_adj && exec sh "$0" "$1" : : cat /proc/self/oom_score_adj`
    return execFileSync('sh', ['-c', script, shim, folder], { encoding: 'utf8' }).trim()
  }
  const may = spawnSync('sh', ['-c', 'echo -900 >/proc/self/oom_score_adj'], { stdio: 'ignore' }).status === 0
  if (!may)
    process.stderr.write('SKIPPED: memory killer scores are not tested: this user may not lower one\n')

  it(
    'does not inherit the protection from the memory killer that a service gives its peer',
    { skip: !may },
    () => {
      assert.equal(scoreUnder(-900), '0')
    },
  )

  it('keeps a score that makes it die sooner', () => {
    assert.equal(scoreUnder(300), '300')
  })
})
