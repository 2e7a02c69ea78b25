import { Status } from "./status.ts";

/** The metric types of the ABI, in order of their numbers. */
const TYPES = ["counter", "gauge", "histogram"] as const;
export type MetricType = (typeof TYPES)[number];

interface Metric {
  readonly type: MetricType;
  readonly name: string;
  /** Counters and gauges; 64 bits, unsigned. */
  value: bigint;
  /** Histograms: every recorded value. */
  readonly samples: bigint[];
}

/**
 * The custom metrics of one VM with Envoy's rules (1.40.0, `Context::defineMetric` and its neighbours): a name that is
 * defined twice is one stat with two ids, the low two bits of an id are its type, a counter only grows.
 */
export class Metrics {
  #byId = new Map<number, Metric>();
  #byName = new Map<string, Metric>();
  #definitions = 0;

  /** `proxy_define_metric`. */
  define(type: number, name: string): { status: Status; id: number } {
    const typeName = TYPES[type];
    if (typeName === undefined) return { status: Status.BadArgument, id: 0 };
    const key = `${typeName} ${name}`;
    const metric = this.#byName.get(key) ?? { type: typeName, name, value: 0n, samples: [] };
    const id = 4 * ++this.#definitions + type;
    this.#byName.set(key, metric);
    this.#byId.set(id, metric);
    return { status: Status.Ok, id };
  }

  /** `proxy_increment_metric`: a counter must grow, a gauge may go either way, a histogram cannot be incremented. */
  increment(id: number, delta: bigint): Status {
    if ((id & 3) > 1) return Status.BadArgument;
    const metric = this.#byId.get(id);
    if (metric === undefined) return Status.NotFound;
    if (metric.type === "counter" && delta <= 0n) return Status.BadArgument;
    metric.value = BigInt.asUintN(64, metric.value + delta);
    return Status.Ok;
  }

  /** `proxy_record_metric`: sets a gauge, adds to a counter, records in a histogram. */
  record(id: number, value: bigint): Status {
    const metric = this.#byId.get(id);
    if (metric === undefined) return Status.NotFound;
    if (metric.type === "histogram") metric.samples.push(value);
    else metric.value = BigInt.asUintN(64, metric.type === "gauge" ? value : metric.value + value);
    return Status.Ok;
  }

  /** `proxy_get_metric`: histograms cannot be read. */
  get(id: number): { status: Status; value: bigint } {
    if ((id & 3) > 1) return { status: Status.BadArgument, value: 0n };
    const metric = this.#byId.get(id);
    if (metric === undefined) return { status: Status.NotFound, value: 0n };
    return { status: Status.Ok, value: metric.value };
  }

  /** The value of a counter or gauge by its name (without Envoy's `wasmcustom.` prefix); undefined if not defined. */
  value(name: string): bigint | undefined {
    return (this.#byName.get(`counter ${name}`) ?? this.#byName.get(`gauge ${name}`))?.value;
  }

  /** What a histogram recorded; undefined if not defined. */
  samples(name: string): readonly bigint[] | undefined {
    return this.#byName.get(`histogram ${name}`)?.samples;
  }

  /** All names, in the order of their first definition. */
  names(): string[] {
    return [...this.#byName.values()].map((metric) => metric.name);
  }

  /** How many ids were handed out: a module that defines metrics per request shows here. */
  get definitions(): number {
    return this.#definitions;
  }
}
