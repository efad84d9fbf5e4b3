// The Log port: structured lines with a level. Pure code takes none; machines and the agent take one so that a
// simulation can keep its own. The production log is node/serve/logging.ts.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** Drops everything. */
export const silentLog: Log = { log: () => undefined }
