// The filter itself as a witness: what it says of a policy, and whether a URI passes one. It is the module that Envoy runs.
import { Vm } from "../host/index.ts";
import { SECRET_MEMBERS, valuesOf } from "./secret-members.ts";

const REFUSED = "mcp-guard: configuration refused: ";

/** What a secret has here: printable like a secret and a token, and DER in base64 like a key. It opens nothing. */
const STAND_IN = Buffer.from([0x30, 0x02, 0x05, 0x00]).toString("base64");

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
  /** The variables that the VM has. */
  #variables: ReadonlySet<string> = new Set();

  /** @param module the bytes of `build/plugin.wasm`, which the caller does not change. */
  constructor(module: Uint8Array) {
    this.#module = module;
    this.#vm = Vm.load(module);
  }

  /** What the filter says against a configuration; undefined when it takes it. */
  refusal(configuration: string | Uint8Array): FilterRefusal | undefined {
    const vm = this.#ready(configuration);
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
    const text = JSON.stringify(configuration);
    const vm = this.#ready(text);
    const plugin = vm.startPlugin(text);
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

  /**
   * A VM that has the variables that the configuration names: whether that of a proxy has them is nothing that a policy says. After a trap a VM
   * answers nothing any more.
   */
  #ready(configuration: string | Uint8Array): Vm {
    const variables = secretVariables(configuration);
    if (this.#vm.failed || variables.some((variable) => !this.#variables.has(variable))) {
      this.#variables = new Set(variables);
      const environment = Object.fromEntries(variables.map((variable) => [variable, STAND_IN]));
      this.#vm = Vm.load(this.#module, { environment });
    }
    return this.#vm;
  }
}

/** The variables that a configuration names for secrets, keys and tokens. */
function secretVariables(configuration: string | Uint8Array): string[] {
  let value: unknown;
  try {
    value = JSON.parse(typeof configuration === "string" ? configuration : Buffer.from(configuration).toString("utf8"));
  } catch {
    return [];
  }
  // Of any other name the filter says itself that it is none.
  return valuesOf(value, SECRET_MEMBERS).filter(
    (name): name is string => typeof name === "string" && /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name),
  );
}
