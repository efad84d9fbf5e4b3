// What the text of a multiaddr tells of where it leads: its port, and whether it stays on the machine or within a private
// network. Text alone; it resolves no names.

/** TCP host and port of a multiaddr; null for anything else. */
export const hostPortIn = (address: string): { readonly host: string; readonly port: number } | null => {
  const match = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/|$)/.exec(address)
  return match?.[1] === undefined ? null : { host: match[1], port: Number(match[2]) }
}

export const portOf = (address: string): number | null => hostPortIn(address)?.port ?? null

export const isLoopback = (address: string): boolean => {
  const host = hostPortIn(address)?.host ?? ''
  return host === '::1' || host === 'localhost' || host.startsWith('127.')
}

// RFC 1918, RFC 6598 (carriers' NAT), RFC 4193 (unique local).
const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd])/i

/** Reached within a private network only. A name may lead anywhere and counts as public. */
export const isPrivate = (address: string): boolean => {
  const host = hostPortIn(address)?.host ?? ''
  return PRIVATE.test(host) && !address.startsWith('/dns')
}
