// Ports by name as text, for files in which a peer remembers the ports that it had. Values in, values out.

import { sortedEntries } from './order.ts'

const PORT_MAX = 65_535

/** The same text for the same ports. */
export const portText = (ports: ReadonlyMap<string, number>): string =>
  JSON.stringify(Object.fromEntries(sortedEntries(ports)))

/** What a text says; what is not readable as ports is left out, as if never written. */
export const portsOf = <Name extends string>(text: string): Map<Name, number> => {
  const ports = new Map<Name, number>()
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return ports
  }
  if (typeof parsed !== 'object' || parsed === null) return ports
  for (const [name, port] of Object.entries(parsed))
    if (typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= PORT_MAX)
      ports.set(name as Name, port)
  return ports
}
