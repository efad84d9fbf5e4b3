// Every limit of the document and of the wire, each with its reason. A limit that only one file needs stays there.

export const LIMITS = {
  /** One gossiped record; larger ones travel over streams. Gossipsub re-sends copies, and its RPC frame is 4 MiB. */
  gossipBytesMax: 64 * 1024,
  /** One intent change. A cell file of 64 services of 2 kB each fits in one atomic change. */
  changeBytesMax: 512 * 1024,
  /** One status record: 1,000 instances of some 250 bytes, with room. */
  statusBytesMax: 1024 * 1024,
  /** One message on a stream between peers: a batch of records. Larger answers are split. */
  messageBytesMax: 4 * 1024 * 1024,
  /** A cell file, as YAML. A person wrote it; a megabyte is a mistake. */
  cellFileBytesMax: 1024 * 1024,
  /** Any single string value in the document: a command, an environment value. */
  valueBytesMax: 32 * 1024,
  /** Services in one cell: one change edits a whole cell. */
  servicesPerCellMax: 200,
  /** Slots of one service. Ten times the largest fleet aimed at. */
  replicasMax: 2000,
  /** Members of a cluster, dead ones included: five times the fleet aimed at. */
  membersMax: 1000,
  /** Ports one service may name. */
  portsPerServiceMax: 32,
  /** Environment variables of one service. */
  environmentMax: 256,
  /** Orphans (records whose causal past has not arrived) that a peer holds; the oldest go first, anti-entropy refetches. */
  orphansMax: 1000,
  /** Files of one package together. A program with its libraries is a tenth of it; more is data, and belongs elsewhere. */
  packageBytesMax: 4 * 1024 ** 3,
  /** Files, links and empty directories of one package: five times a large node_modules. */
  packageEntriesMax: 200_000,
  /** A package's manifest, which is held in memory whole: 4 GiB in chunks of 64 KiB, or 90,000 small files. */
  manifestBytesMax: 16 * 1024 * 1024,
  /** Versions of packages that the document lists at once: 50 services with 20 each, twice. */
  packagesMax: 2000,
} as const
