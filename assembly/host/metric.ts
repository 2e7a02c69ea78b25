// Counters, gauges and histograms. Envoy puts `wasmcustom.` before the name.

import { Writer } from "../memory/writer";
import { MetricKind, Status } from "./abi";
import { proxy_define_metric, proxy_increment_metric, proxy_record_metric } from "./env";

const idAt: usize = memory.data(4, 4);

/** What `defineMetric` gives when the host refuses. No id is like it: the low two bits of an id are its kind, 0 to 2. */
export const NO_METRIC: u32 = u32.MAX_VALUE;

/** Defines a metric, once per VM and name; every definition takes memory of the host. */
export function defineMetric(kind: MetricKind, name: Writer): u32 {
  if (proxy_define_metric(kind, name.start, name.length, idAt) != Status.Ok) return NO_METRIC;
  return load<u32>(idAt); // SAFETY: the word is ours.
}

/** Adds `delta` to a metric: above 0 for a counter. False when the host refuses. */
export function addToMetric(id: u32, delta: i64): bool {
  return proxy_increment_metric(id, delta) == Status.Ok;
}

/** Records a value of a histogram. False when the host refuses. */
export function recordInMetric(id: u32, value: u64): bool {
  return proxy_record_metric(id, value) == Status.Ok;
}
