// The filter itself as a witness: what it says of a policy, and whether a URI passes one. It is the module that Envoy runs.
import { Vm } from "../host/index.ts";

const REFUSED = "mcp-guard: configuration refused: ";

/** Why the filter refuses a policy, in its own words. */
export interface FilterRefusal {
  /** The path to the member, or `configuration`. */
  readonly place: string;
  readonly words: string;
}

/** Asks one build of the filter. */
export class Filter {
  readonly #module: Uint8Array;
  #vm: Vm;

  /** @param module the bytes of `build/plugin.wasm`, which the caller does not change. */
  constructor(module: Uint8Array) {
    this.#module = module;
    this.#vm = Vm.load(module);
  }

  /** What the filter says against a configuration; undefined when it takes it. */
  refusal(configuration: string | Uint8Array): FilterRefusal | undefined {
    const vm = this.#ready();
    const plugin = vm.startPlugin(configuration);
    const lines = vm.logs.splice(0).map(({ message }) => message);
    const { accepted } = plugin;
    plugin.stop();
    if (accepted) return undefined;
    const said = lines.find((line) => line.startsWith(REFUSED))?.slice(REFUSED.length) ?? "";
    const colon = said.indexOf(": ");
    if (colon < 0) return { place: "configuration", words: "the filter refuses it without a word" };
    return { place: said.slice(0, colon), words: said.slice(colon + 2) };
  }

  /** The reason for which a `resources/read` of each URI is refused, an empty string for one that passes; undefined when the filter refuses the configuration. */
  readResources(configuration: object, uris: readonly string[]): string[] | undefined {
    const vm = this.#ready();
    const plugin = vm.startPlugin(JSON.stringify(configuration));
    if (!plugin.accepted) return undefined;
    const reasons = uris.map((uri) => {
      const stream = plugin.openStream();
      const headers = { ":method": "POST", ":path": "/", ":authority": "lint", "content-type": "application/json" };
      const call = { jsonrpc: "2.0", id: 1, method: "resources/read", params: { uri } };
      stream.requestHeaders(headers, false);
      stream.requestBody(Buffer.from(JSON.stringify(call)), true);
      const reason = stream.codeDetails?.replace(/^mcp_guard\./, "") ?? "";
      const passes = stream.localReply === undefined;
      stream.finish();
      return passes ? "" : reason;
    });
    plugin.stop();
    vm.logs.length = 0;
    return reasons;
  }

  /** After a trap a VM answers nothing any more. */
  #ready(): Vm {
    if (this.#vm.failed) this.#vm = Vm.load(this.#module);
    return this.#vm;
  }
}
