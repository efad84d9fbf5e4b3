// The text of a systemd unit for a peer. Every line that is not systemd's default has its reason here, so that the unit on
// a machine can be read against this file. Text in, text out; installing it is install.ts.

import { UsageError } from '../exit.ts'

export interface UnitOptions {
  /** Absolute path of the launcher. */
  readonly launcher: string
  /** Absolute. */
  readonly data: string
  /** After `tutti up --data DIR`. */
  readonly options: readonly string[]
  /** What programs of services are looked for in; a service gets nothing of the person's shell otherwise. */
  readonly path: string
  /** For the user's own manager instead of the machine's. */
  readonly user: boolean
}

// The first line of every unit of ours: what is without it was written by somebody else.
export const UNIT_MARK = '# Written by tutti install-service; tutti uninstall-service removes it.'

/** The name of a unit's file. @throws UsageError for what systemd would not take. */
export const unitFileOf = (name: string): string => {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,200}$/.test(name) && !name.endsWith('.service')) return `${name}.service`
  throw new UsageError(`'${name}' is not a name for a service; use letters, digits and -, without .service`)
}

/** A word of ExecStart= (systemd.service(5), "Command lines"): quoted, with `%` and `$` as themselves. */
const execWord = (word: string): string => quoted(word.replaceAll('$', () => '$$'))

/** A quoted word of any setting: `%` begins a specifier, `\` an escape. @throws UsageError for a line break. */
const quoted = (word: string): string => {
  if (/[\r\n\0]/.test(word)) throw new UsageError('an option of a service cannot hold a line break')
  return `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`
}

/** The unit. @throws UsageError for options that no unit can hold. */
export const unitOf = ({ launcher, data, options, path, user }: UnitOptions): string => {
  const command = [launcher, 'up', '--data', data, ...options].map(execWord).join(' ')
  const network = user ? [] : ['Wants=network-online.target', 'After=network-online.target']
  return [
    UNIT_MARK,
    '[Unit]',
    'Description=tutti peer',
    ...network,
    // Without its disk a peer would start on the empty directory below the mount point, and found a cluster of its own.
    `RequiresMountsFor=${quoted(data)}`,
    // A peer that cannot start (a full disk, a taken port) is tried for as long as that lasts.
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    // Started once the program runs; whether it is ready, its own API says.
    'Type=exec',
    `ExecStart=${command}`,
    `Environment=${quoted(`PATH=${path}`)}`,
    'Restart=always',
    // Others start what ran here only seconds later: back by then, it adopts everything and nothing moves. systemd takes up to
    // a quarter of a second more, and the peer half of one.
    'RestartSec=100ms',
    // What ended by itself said why, and will say so again: its next try has time, and the instances have the processor.
    `ExecStopPost=/bin/sh -c "[ $$SERVICE_RESULT != exit-code ] || sleep 2"`,
    // Instances outlive the peer at a restart, an upgrade and a crash, also those that no group could be made for.
    'KillMode=process',
    // A peer lets go within a second; a disk that hangs may take longer.
    'TimeoutStopSec=20s',
    // Controllers for the groups of instances, which lie beside its own (docs/adr/0026-beside-the-unit.md).
    'Delegate=yes',
    ...(user
      ? []
      : [
          // Descriptors are for links and connections; the machine's own bound is fs.file-max.
          'LimitNOFILE=1048576',
          'LimitNPROC=infinity',
          // Instances are killed before the one that would start them again; the spawner gives them a plain score.
          'OOMScoreAdjust=-900',
        ]),
    'TasksMax=infinity',
    '',
    '[Install]',
    `WantedBy=${user ? 'default.target' : 'multi-user.target'}`,
    '',
  ].join('\n')
}

/** The data directory that a unit of ours names; null when it names none. */
export const dataOfUnit = (unit: string): string | null => {
  const word = /^ExecStart=.* "--data" "((?:[^"\\]|\\.)*)"/m.exec(unit)?.[1]
  if (word === undefined) return null
  return word
    .replaceAll('%%', '%')
    .replace(/\\(.)/g, '$1')
    .replaceAll('$$', () => '$')
}

/** What a change of a unit changes, line by line; enough for a file of thirty lines in a fixed order. */
export const differenceOf = (before: string, after: string): readonly string[] => {
  const [old, fresh] = [before.split('\n'), after.split('\n')]
  return [
    ...old.filter((line) => line !== '' && !fresh.includes(line)).map((line) => `- ${line}`),
    ...fresh.filter((line) => line !== '' && !old.includes(line)).map((line) => `+ ${line}`),
  ]
}
