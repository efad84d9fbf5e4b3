// Where files are cut into chunks: at places that the content chooses, so that an insertion moves the cuts around it and no
// others, and what two versions have in common has the same chunks (FastCDC: Xia et al., USENIX ATC 2016, with its
// normalized chunking, §3.3). Pure: bytes in, lengths out. Cuts are not part of what a package means, only of what two of
// them share, so another table or another size would cost bytes on the wire and nothing else.

import { mix32 } from '../../lib/hash.ts'

/** Below it nothing is cut (but the end of a file): a chunk costs a request's share, a digest and a file on the disk. */
export const CHUNK_BYTES_MIN = 16 * 1024
/**
 * What chunks are cut to on average. Each changed place costs about one chunk and a half. At 64 KiB a package of 100 MB is
 * 1,600 chunks, whose list is a thousandth of it, and ten scattered changes move one per cent.
 */
export const CHUNK_BYTES_TARGET = 64 * 1024
/** Above it everything is cut, so that one chunk is a bounded piece of memory. */
export const CHUNK_BYTES_MAX = 256 * 1024

// Normalized chunking, level 2: two bits more before the target, two fewer after it, draw the lengths together. The bits are
// the highest, which the most bytes before the cut have a part in: the gear hash shifts out what is 32 bytes old.
const MASK_BEFORE_TARGET = 0xff_ff_c0_00 | 0
const MASK_AFTER_TARGET = 0xff_fc_00_00 | 0

/** Random numbers by byte, the same for everybody for ever. */
const GEAR = Int32Array.from({ length: 256 }, (_, byte) => mix32((byte + 1) * 0x9e_37_79_b9))

/**
 * The length of the chunk at the beginning of `bytes`, which are either the rest of a file or at least CHUNK_BYTES_MAX of it.
 * 0 of nothing.
 */
export const chunkLength = (bytes: Uint8Array): number => {
  const end = Math.min(bytes.length, CHUNK_BYTES_MAX)
  if (end <= CHUNK_BYTES_MIN) return end
  const target = Math.min(end, CHUNK_BYTES_TARGET)
  let hash = 0
  let at = CHUNK_BYTES_MIN
  for (; at < target; at += 1) {
    hash = ((hash << 1) + (GEAR[bytes[at] ?? 0] ?? 0)) | 0
    if ((hash & MASK_BEFORE_TARGET) === 0) return at + 1
  }
  for (; at < end; at += 1) {
    hash = ((hash << 1) + (GEAR[bytes[at] ?? 0] ?? 0)) | 0
    if ((hash & MASK_AFTER_TARGET) === 0) return at + 1
  }
  return end
}
