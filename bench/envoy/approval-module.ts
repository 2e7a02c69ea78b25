// What the module itself takes for a call that needs no approval, with approvals and without them, in the Node host: less than what can be told
// from noise in a whole Envoy. The shortest of many slices counts, which nothing has interrupted.
import { type Plugin, Vm } from "../../src/host/index.ts";
import { CALLER, guardPolicy, PLAIN_POLICY } from "./approval-policy.ts";
import { shuffled } from "./statistics.ts";

const CALLS = 100;
const CLUSTER = "approval";
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}';

/** Microseconds of a whole exchange in the Node host, most of them the host's own. */
export interface ModuleTime {
  readonly name: string;
  readonly guard: number;
  readonly again: number;
  readonly approval: number;
}

/** Measures exchanges with these bodies, each `slices` times. */
export function measureModule(
  module: Uint8Array,
  bodies: Readonly<Record<string, Buffer>>,
  slices: number,
): ModuleTime[] {
  const vm = Vm.load(module, { clusters: [CLUSTER] });
  const plugins = {
    guard: vm.startPlugin(JSON.stringify(PLAIN_POLICY)),
    again: vm.startPlugin(JSON.stringify(PLAIN_POLICY)),
    approval: vm.startPlugin(JSON.stringify(guardPolicy(CLUSTER))),
  };
  const names = Object.keys(plugins) as (keyof typeof plugins)[];
  return Object.entries(bodies).map(([name, body]) => {
    const best = {
      guard: Number.POSITIVE_INFINITY,
      again: Number.POSITIVE_INFINITY,
      approval: Number.POSITIVE_INFINITY,
    };
    for (let slice = 0; slice < slices; slice++) {
      for (const each of shuffled(names)) best[each] = Math.min(best[each], microseconds(plugins[each], body));
      vm.logs.length = 0;
    }
    console.log(`${name}, the module alone: approval ${(best.approval - best.guard).toFixed(2)} us more`);
    return { name, ...best };
  });
}

/** Of one exchange, by some in a row. */
function microseconds(plugin: Plugin, body: Buffer): number {
  const start = performance.now();
  for (let call = 0; call < CALLS; call++) {
    const stream = plugin.openStream({ properties: PROPERTIES });
    stream.requestHeaders(REQUEST, false);
    stream.requestBody(body, false);
    stream.requestEnd();
    if (stream.localReply !== undefined) throw new Error(`refused: ${stream.localReply.body}`);
    stream.responseHeaders(RESPONSE, false);
    stream.responseBody(ANSWER, true);
    stream.finish();
  }
  return ((performance.now() - start) * 1_000) / CALLS;
}

const TOKEN = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${CALLER.provider}`;
const PROPERTIES = { [`${TOKEN}.iss`]: CALLER.issuer, [`${TOKEN}.sub`]: CALLER.subject };
const REQUEST = {
  ":method": "POST",
  ":path": "/mcp",
  ":scheme": "http",
  ":authority": "bench",
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};
const RESPONSE = { ":status": "200", "content-type": "application/json" };
