// One page on PORT, as the Compose example's api. Plain Node.js 18 or newer.

import { createServer } from 'node:http'

const server = createServer((_request, response) =>
  response.end(`${process.env.GREETING} from ${process.env.TUTTI_SLOT}\n`),
)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
server.listen(Number(process.env.PORT ?? 18080), () => console.log(`listens on ${server.address().port}`))
