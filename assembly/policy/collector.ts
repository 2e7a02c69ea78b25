// `audit.otlp`: where records go beside the access log.

@unmanaged
export class Collector {
  /** The proxy's cluster, and what the request says: `:authority` and `:path`. Owned, in one block with the record. */
  clusterAt: usize;
  clusterBytes: u32;
  authorityAt: usize;
  authorityBytes: u32;
  pathAt: usize;
  pathBytes: u32;
  timeoutMs: u32;
  flushMs: u32;
  queueBytesMax: u32;
  /** Whether each message has a record of its own. */
  exportsMessages: bool;
}

/** A collector with copies of its three texts. Freed with `heap.free`. */
export function createCollector(
  clusterAt: usize,
  clusterBytes: u32,
  authorityAt: usize,
  authorityBytes: u32,
  pathAt: usize,
  pathBytes: u32,
): Collector {
  const address = heap.alloc(offsetof<Collector>() + clusterBytes + authorityBytes + pathBytes);
  const collector = changetype<Collector>(address);
  memory.fill(address, 0, offsetof<Collector>());
  collector.clusterAt = address + offsetof<Collector>();
  collector.clusterBytes = clusterBytes;
  collector.authorityAt = collector.clusterAt + clusterBytes;
  collector.authorityBytes = authorityBytes;
  collector.pathAt = collector.authorityAt + authorityBytes;
  collector.pathBytes = pathBytes;
  memory.copy(collector.clusterAt, clusterAt, clusterBytes);
  memory.copy(collector.authorityAt, authorityAt, authorityBytes);
  memory.copy(collector.pathAt, pathAt, pathBytes);
  return collector;
}
