// What a peer and its terminal host say to each other over their IPC channel; bytes go over pipes. Types only.

import type { TerminalSize } from '../../ports.ts'
import type { Launch } from './running.ts'

/** From the peer. `start` comes first and once. */
export type HostOrder =
  | ({ readonly kind: 'start'; readonly size: TerminalSize } & Launch)
  | { readonly kind: 'resize'; readonly size: TerminalSize }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }

/** From the host. */
export type HostWord =
  | { readonly kind: 'started' }
  /** The native package is missing on this machine. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'exit'; readonly code: number | null; readonly signal: string | null }
