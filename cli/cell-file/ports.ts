// A service's named ports. Ours: `[http]`, `[http: 8080]`, `{ http: 8080, admin: }`. Compose's: `8080`, `"8080:80"`,
// `"127.0.0.1:8080:80"` and the long form. Without containers there is no second network to map from: the published
// number is the one the program listens on, and it is given as PORT.

import { NAME_PATTERN } from '../../lib/ids.ts'
import { LIMITS } from '../../lib/limits.ts'
import type { Place } from './problem.ts'
import type { Reader, Section } from './reader.ts'
import type { MapTree, Tree } from './tree.ts'

const NAME = new RegExp(NAME_PATTERN)
const NUMBER_MAX = 65_535
// [host:]published[:target][/protocol], numbers only; ranges match nothing.
const COMPOSE = /^(?:(\[[0-9a-f:]+\]|[0-9.]+):)??(?:(\d+):)?(\d+)(?:\/(tcp|udp))?$/i

class Ports {
  readonly #reader: Reader
  readonly #path: string
  readonly found = new Map<string, number>()

  constructor(reader: Reader, path: string) {
    this.#reader = reader
    this.#path = path
  }

  add(name: string, number: number, place: Place): void {
    const { problems } = this.#reader
    if (!NAME.test(name)) {
      problems.invalid(
        place,
        `${this.#path}: '${name}' is not a port's name; use lower-case letters, digits and -`,
      )
    } else if (number > NUMBER_MAX) {
      problems.invalid(place, `${this.#path}: ${number} is not a port; the highest is ${NUMBER_MAX}`)
    } else if (this.found.has(name)) {
      problems.invalid(place, `${this.#path}: port ${name} is named twice; give each a name of its own`)
    } else this.found.set(name, number)
  }

  /** A number without a name: the first port is `http`, others are named after their number. */
  addNumber(number: number, place: Place): void {
    this.add(this.found.size === 0 ? 'http' : `p${number}`, number, place)
  }

  /** A name with its number; none, `auto` or 0: allocated by the peer. */
  addNamed(name: string, value: Tree, place: Place): void {
    if (value.kind === 'null') return this.add(name, 0, place)
    const number = this.#reader.integer(value, `${this.#path}.${name}`, 0, NUMBER_MAX)
    if (number !== undefined) this.add(name, number, place)
    return undefined
  }

  addText(text: string, place: Place): void {
    const { problems } = this.#reader
    const named = /^([a-z0-9-]*[a-z][a-z0-9-]*):\s*(\d+)$/.exec(text)
    if (named !== null) return this.add(named[1] ?? '', Number(named[2]), place)
    const compose = COMPOSE.exec(text)
    if (compose === null) {
      if (!/^\d/.test(text)) return this.add(text, 0, place)
      problems.invalid(
        place,
        `${this.#path}: '${text}' is not a port; write a name, "http: 8080" or "8080:80"`,
      )
      return undefined
    }
    const [, host, published, target, protocol] = compose
    if (protocol?.toLowerCase() === 'udp') {
      problems.unsupported(
        place,
        `${this.#path}: '${text}' is UDP, and only TCP ports are offered; remove it`,
      )
      return undefined
    }
    if (host !== undefined) {
      problems.warn(
        place,
        `${this.#path}: address ${host} is ignored; the program decides what it listens on`,
      )
    }
    return this.addNumber(Number(published ?? target), place)
  }

  /** Compose's long form, or `{ http: 8080 }`. */
  addMap(map: MapTree): void {
    if (!map.entries.has('target') && !map.entries.has('published')) {
      for (const [name, { key, value }] of map.entries) this.addNamed(name, value, key)
      return
    }
    const section = this.#reader.section(map, this.#path, {
      known: ['target', 'published', 'name', 'protocol'],
      ignored: ['app_protocol', 'mode', 'host_ip'],
    })
    const protocol = this.#reader.choice(section.get('protocol'), `${this.#path}.protocol`, ['tcp', 'udp'])
    if (protocol === 'udp') {
      this.#reader.problems.unsupported(map, `${this.#path}: only TCP ports are offered; remove the UDP one`)
      return
    }
    const key = section.has('published') ? 'published' : 'target'
    const number = this.#reader.integer(section.get(key), `${this.#path}.${key}`, 1, NUMBER_MAX)
    const name = this.#reader.text(section.get('name'), `${this.#path}.name`)
    if (number === undefined) return
    if (name === undefined) this.addNumber(number, map)
    else this.add(name.text, number, name)
  }
}

/** By name; 0: allocated. In the order of the file, since the first port is `PORT`. */
export const readPorts = (reader: Reader, service: Section): Record<string, number> => {
  const path = service.pathOf('ports')
  const tree = service.get('ports')
  const ports = new Ports(reader, path)
  if (tree?.kind === 'map') ports.addMap(tree)
  else if (tree?.kind === 'text') {
    const value = reader.text(tree, path)
    if (value !== undefined) ports.addText(value.text, value)
  } else {
    for (const item of reader.list(tree, path)?.items ?? []) {
      if (item.kind === 'map') ports.addMap(item)
      else {
        const value = reader.text(item, path)
        if (value !== undefined) ports.addText(value.text, value)
      }
    }
  }
  if (ports.found.size > LIMITS.portsPerServiceMax) {
    reader.problems.invalid(
      service.placeOf('ports'),
      `${path} names more than ${LIMITS.portsPerServiceMax} ports`,
    )
  }
  return Object.fromEntries(ports.found)
}
