// What an instance with `isolation: sandbox` sees: the system's programs and libraries, read-only, its own working
// directory, a /tmp and a /proc of its own, no other process, and the machine's network (its ports are the peer's to
// give). Built by bubblewrap. Words only; nothing here runs anything.

import { realpathSync } from 'node:fs'

/** What a sandbox is made for. */
export interface SandboxPlan {
  /** Absolute path of bwrap. */
  readonly bubblewrap: string
  /** The program, absolute: seen even where it is not in a system directory. */
  readonly program: string
  readonly workingDirectory: string
  /** Directories that it may change, and others that it may only read, besides the system's. */
  readonly writable: readonly string[]
  readonly readable: readonly string[]
  /** Whether the peer is root: then capabilities are taken away, where another user has none to begin with. */
  readonly isRoot: boolean
}

/** Directories that programs come from. What a machine does not have is left out. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/etc', '/opt', '/nix/store']
/** /etc/resolv.conf is a link into one of these on machines with a resolver of their own. */
const RESOLVERS = ['/run/systemd/resolve', '/run/resolvconf', '/run/NetworkManager/resolv.conf']

/** What root keeps in there: enough to own files, change user and open ports; nothing that reaches the machine. */
export const SANDBOX_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
]

const isSystem = (path: string): boolean => SYSTEM.some((directory) => path.startsWith(`${directory}/`))

const realPathOf = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** The words that go before the program's own. */
export const sandboxWords = (plan: SandboxPlan): readonly string[] => {
  const { bubblewrap, program, workingDirectory } = plan
  const readOnly = (path: string): readonly string[] => ['--ro-bind-try', path, path]
  const programs = [...new Set([program, realPathOf(program)])].filter((path) => !isSystem(path))
  return [
    bubblewrap,
    '--unshare-pid',
    '--unshare-ipc',
    '--die-with-parent',
    ...(plan.isRoot
      ? ['--cap-drop', 'ALL', ...SANDBOX_CAPABILITIES.flatMap((name) => ['--cap-add', name])]
      : []),
    ...[...SYSTEM, ...RESOLVERS].flatMap(readOnly),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    ...programs.flatMap(readOnly),
    ...plan.readable.flatMap((path) => ['--ro-bind', path, path]),
    ...plan.writable.flatMap((path) => ['--bind', path, path]),
    '--chdir',
    workingDirectory,
    '--',
  ]
}
