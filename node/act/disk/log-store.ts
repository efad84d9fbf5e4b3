// The production Store: crdt/log's store on a directory of this machine. Everything that decides is there, where the
// simulator crashes it; this file only brings the two together.

import { LogStore } from '../../../crdt/log/store.ts'
import { directoryFiles } from './files.ts'

/**
 * Records on disk, in `directory` (the data directory's `log`). One process at a time: the data directory's lock sees to
 * that. Load it before anything else.
 */
export class DiskStore extends LogStore {
  constructor(directory: string) {
    super(directoryFiles(directory))
  }
}
