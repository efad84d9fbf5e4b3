// A git repository of a small shop, for end-to-end tests of releases: a web server that is built, tested, and answers with
// its version.

import { join } from 'node:path'
import { execPath } from 'node:process'
import { TestRepository } from '../../cli/release/support.ts'

const SERVER = `
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
const version = readFileSync(new URL('version.txt', import.meta.url), 'utf8')
const server = createServer((request, reply) => {
  reply.setHeader('connection', 'close')
  reply.end(version + ' ' + process.env.TUTTI_SLOT + ' ' + process.env.TUTTI_PEER)
})
server.listen(Number(process.env.PORT), '0.0.0.0')
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections() })
`

export interface ShopOptions {
  /** Lines of the build, after the artifact is made. */
  readonly build?: string
  readonly verify?: string
  readonly replicas?: number
  /** Of the web server; what it says of itself is the commit's version in any case. */
  readonly environment?: string
  /** Under `deploy:`, in YAML's flow style. */
  readonly update?: string
}

const cellFile = ({
  build = 'true',
  verify = 'true',
  replicas = 3,
  environment = '',
  update = '{}',
}: ShopOptions): string => `
name: shop
services:
  web:
    command: [${execPath}, server.mjs]
    environment: { NOTE: "${environment}" }
    build:
      context: app
      command: |
        mkdir -p dist
        cp server.mjs dist/
        printf %s "$$TUTTI_VERSION" > dist/version.txt
        ${build}
      output: dist
      verify: ${verify}
    ports: [http]
    healthcheck: { http: /healthz, interval: 200ms, timeout: 1s, retries: 3, start_period: 10s }
    stop_grace_period: 5s
    deploy: { replicas: ${replicas}, update_config: ${update} }
`

export class ShopRepository extends TestRepository {
  /** Writes the shop and commits it. Returns the hash. */
  commitShop(subject: string, options: ShopOptions = {}): string {
    this.write('cell.yaml', cellFile(options))
    this.write('app/server.mjs', SERVER)
    return this.commit(subject)
  }

  get cellFile(): string {
    return join(this.directory, 'cell.yaml')
  }
}
