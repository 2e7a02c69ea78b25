/** A header or trailer: name and value as Latin-1 strings, one character per byte. */
export type HeaderPair = readonly [name: string, value: string];

/** How callers name headers: a record, or pairs where a name repeats or the order matters. */
export type HeaderInput = Readonly<Record<string, string>> | readonly HeaderPair[];

/**
 * Names of which Envoy keeps a single entry ("inline headers"): a second value is joined to the first one with a
 * comma, also on the way in from the network. A filter never sees two of them.
 * Envoy 1.40.0, `envoy/http/header_map.h`; the row about two content types in `test/abi` shows it.
 */
const INLINE_NAMES = new Set([
  ":authority",
  ":method",
  ":path",
  ":protocol",
  ":scheme",
  ":status",
  "connection",
  "content-length",
  "content-type",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "via",
  "x-forwarded-client-cert",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-request-id",
]);

/** An ordered multimap of headers with Envoy's rules: lower-case names, pseudo-headers first, inline headers joined. */
export class HeaderMap {
  #entries: [string, string][] = [];

  constructor(headers: HeaderInput = []) {
    const pairs = Array.isArray(headers) ? (headers as readonly HeaderPair[]) : Object.entries(headers);
    for (const [name, value] of pairs) this.add(name, value);
  }

  /** Number of entries. */
  get size(): number {
    return this.#entries.length;
  }

  /** Sum of the lengths of all names and values: what `proxy_get_header_map_size` returns. */
  get byteSize(): number {
    return this.#entries.reduce((bytes, [name, value]) => bytes + name.length + value.length, 0);
  }

  /** All entries in order; copies. */
  pairs(): [string, string][] {
    return this.#entries.map(([name, value]) => [name, value]);
  }

  /** The first value of a name: what `proxy_get_header_map_value` sees. */
  get(name: string): string | undefined {
    const wanted = name.toLowerCase();
    return this.#entries.find(([key]) => key === wanted)?.[1];
  }

  /** All values of a name. */
  getAll(name: string): string[] {
    const wanted = name.toLowerCase();
    return this.#entries.filter(([key]) => key === wanted).map(([, value]) => value);
  }

  add(name: string, value: string): void {
    const key = name.toLowerCase();
    const present = INLINE_NAMES.has(key) ? this.#entries.find(([other]) => other === key) : undefined;
    if (present !== undefined) {
      present[1] = `${present[1]},${value}`;
      return;
    }
    if (!key.startsWith(":")) {
      this.#entries.push([key, value]);
      return;
    }
    const firstOrdinary = this.#entries.findIndex(([other]) => !other.startsWith(":"));
    this.#entries.splice(firstOrdinary === -1 ? this.#entries.length : firstOrdinary, 0, [key, value]);
  }

  /** Sets the first entry of a name and removes the others. */
  replace(name: string, value: string): void {
    const key = name.toLowerCase();
    const first = this.#entries.find(([other]) => other === key);
    if (first === undefined) {
      this.add(key, value);
      return;
    }
    first[1] = value;
    this.#entries = this.#entries.filter((entry) => entry === first || entry[0] !== key);
  }

  remove(name: string): void {
    const key = name.toLowerCase();
    this.#entries = this.#entries.filter(([other]) => other !== key);
  }

  /** Removes everything, then adds the pairs: `proxy_set_header_map_pairs`. */
  assign(pairs: readonly HeaderPair[]): void {
    this.#entries = [];
    for (const [name, value] of pairs) this.add(name, value);
  }
}
