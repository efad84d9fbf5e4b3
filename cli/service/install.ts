// Writes a unit, has the service manager start it at boot and now, and takes it away again. A unit that is there with
// other content is shown and left alone unless the person agrees. With a root directory it only writes files: for images,
// and for tests. Instances are not touched by any of it.

import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { messageOf } from '../../lib/errors.ts'
import { EXIT, Failure } from '../exit.ts'
import type { ServiceManager } from './systemd.ts'
import { differenceOf, unitFileOf, UNIT_MARK } from './unit.ts'

export interface Place {
  /** Of the unit, without `.service`. */
  readonly name: string
  readonly user: boolean
  /** Only files below this directory are written; null: this machine. */
  readonly root: string | null
  /** `$XDG_CONFIG_HOME` or `~/.config`: where a user's units lie. */
  readonly config: string
}

/** Where a unit lies: the administrator's folder, which package managers leave alone (systemd.unit(5)). */
export const unitPathOf = ({ name, user, root, config }: Place): string => {
  const folder = user ? join(config, 'systemd/user') : '/etc/systemd/system'
  return join(root ?? '/', folder, unitFileOf(name))
}

/** The link by which `systemctl enable` starts it at boot. */
const wantedPathOf = (place: Place): string => {
  const path = unitPathOf(place)
  return join(
    dirname(path),
    place.user ? 'default.target.wants' : 'multi-user.target.wants',
    unitFileOf(place.name),
  )
}

export interface Installed {
  readonly path: string
  /** `same`: it was there already, word for word. */
  readonly kind: 'written' | 'replaced' | 'same'
  /** What is not as it should be, each in one sentence. */
  readonly warnings: readonly string[]
}

/**
 * Installs the unit and starts it. `agree` is asked before another unit is replaced, with what would change.
 * @throws Failure when there is no such service manager, a file cannot be written, or the person does not agree.
 */
export const installUnit = async (
  place: Place,
  unit: string,
  manager: ServiceManager,
  agree: (question: string, difference: readonly string[]) => Promise<boolean>,
): Promise<Installed> => {
  requireManager(place, manager)
  const path = unitPathOf(place)
  const before = contentOf(path)
  const kind = before === null ? 'written' : before === unit ? 'same' : 'replaced'
  if (before !== null && kind === 'replaced') {
    const whose = before.startsWith(UNIT_MARK) ? 'with other options' : 'and was not written by tutti'
    if (!(await agree(`${path} exists ${whose}; replace it?`, differenceOf(before, unit)))) {
      throw new Failure(EXIT.failed, `${path} was left as it is; choose another --name, or agree with --yes`)
    }
  }
  if (kind !== 'same') writing(path, () => replaceFile(path, unit))
  if (place.root !== null) {
    writing(wantedPathOf(place), () => link(wantedPathOf(place), path))
    return { path, kind, warnings: [] }
  }
  const file = unitFileOf(place.name)
  if (kind !== 'same') manager.control(['daemon-reload'])
  manager.control(['enable', file])
  // A restart takes the new options up; instances run on and are adopted.
  manager.control([kind === 'replaced' ? 'restart' : 'start', file])
  return { path, kind, warnings: place.user ? lingering(manager) : [] }
}

const lingering = (manager: ServiceManager): readonly string[] => {
  const failure = manager.linger()
  if (failure === null) return []
  return [`it starts when you log in, not at boot (${failure}); run: sudo loginctl enable-linger $USER`]
}

/**
 * Ends the service and removes its unit; false when there is none. Instances run on, and a later peer on the same data
 * adopts them. @throws Failure for a unit that somebody else wrote, unless `force`.
 */
export const removeUnit = (place: Place, manager: ServiceManager, force: boolean): boolean => {
  requireManager(place, manager)
  const path = unitPathOf(place)
  const before = contentOf(path)
  if (before === null) return false
  if (!before.startsWith(UNIT_MARK) && !force) {
    throw new Failure(
      EXIT.failed,
      `${path} was not written by tutti; remove it yourself, or agree with --yes`,
    )
  }
  if (place.root === null) manager.control(['disable', '--now', unitFileOf(place.name)])
  writing(path, () => {
    rmSync(wantedPathOf(place), { force: true })
    rmSync(path, { force: true })
  })
  if (place.root === null) manager.control(['daemon-reload'])
  return true
}

const requireManager = ({ root }: Place, manager: ServiceManager): void => {
  const missing = root === null ? manager.missing() : null
  if (missing !== null) throw new Failure(EXIT.failed, missing)
}

/** A file's text; null: there is none. @throws Failure. */
export const contentOf = (path: string): string | null => {
  if (!existsSync(path)) return null
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    throw new Failure(EXIT.failed, `${path} cannot be read (${messageOf(thrown)}); run this as its owner`, {
      cause: thrown,
    })
  }
}

const writing = (path: string, write: () => void): void => {
  try {
    write()
  } catch (thrown) {
    throw new Failure(
      EXIT.failed,
      `${path} cannot be written (${messageOf(thrown)}); run this as its owner`,
      {
        cause: thrown,
      },
    )
  }
}

/** In one step: a manager that reloads meanwhile reads the old unit or the new one. */
const replaceFile = (path: string, content: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  const draft = `${path}.tmp`
  writeFileSync(draft, content, { mode: 0o644 })
  renameSync(draft, path)
}

/** Relative, so that it holds inside of an image too. */
const link = (path: string, target: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  const to = relative(dirname(path), target)
  if (existsSync(path) && readlinkSync(path) === to) return
  rmSync(path, { force: true })
  symlinkSync(to, path)
}
