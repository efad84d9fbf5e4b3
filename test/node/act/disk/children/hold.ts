// A process for data-directory.test.ts: opens the data directory in argv[2], prints `open` or why not, and holds it until
// its standard input ends.

import { openDataDirectory } from '../../../../../node/act/disk/data-directory.ts'
import { messageOf } from '../../../../../lib/errors.ts'

try {
  const data = await openDataDirectory(process.argv[2] ?? '')
  process.stdout.write('open\n')
  process.stdin.resume()
  process.stdin.once('end', () => void data.close())
} catch (error) {
  process.stdout.write(`${messageOf(error)}\n`)
}
