// What the module itself takes for the same calls, in the Node host: less than what can be told from noise in a whole Envoy. The shortest of many slices
// counts, which nothing has interrupted.
import { type HttpStream, type Plugin, Vm } from "../../src/host/index.ts";
import {
  again,
  CALLER,
  ENVIRONMENT,
  EXCHANGE_POLICY,
  GRANTED_CALL,
  PASS_POLICY,
  RATE_LIMIT,
  RULES,
  rulesPolicy,
  SERVICE,
  tokenOf,
} from "./identity-policy.ts";
import { TOKEN_BYTES, tokenName } from "./identity-price.ts";
import { MINTED } from "./identity-seen.ts";
import { SMALL } from "./inputs.ts";
import { shuffled } from "./statistics.ts";

const CALLS = 100;
/** More principals than a guard has buckets for. */
const VISITORS = 5_000;
const ANSWER = '{"jsonrpc":"2.0","id":17,"result":{"content":[]}}';

/** Microseconds of a whole exchange in the Node host, most of them the host's own. */
export interface ModuleTime {
  readonly what: string;
  readonly base: number;
  readonly again: number;
  readonly value: number;
}

interface Kind {
  readonly what: string;
  /** Without, without once more, and with what is measured. */
  readonly policies: readonly [object, object, object];
  readonly body: Buffer;
  readonly authorization?: string;
  /** Each call is another principal's. */
  readonly isCrowd?: boolean;
}

const ONE = rulesPolicy(1);
const KINDS: readonly Kind[] = [
  { what: "1,000 rules beside one", policies: [ONE, again(ONE), rulesPolicy(RULES)], body: GRANTED_CALL },
  {
    what: "rate limits beside none",
    policies: [PASS_POLICY, again(PASS_POLICY), { ...PASS_POLICY, rate_limit: RATE_LIMIT }],
    body: SMALL("safe"),
  },
  {
    what: "rate limits beside none, 5,000 principals in turn",
    policies: [PASS_POLICY, again(PASS_POLICY), { ...PASS_POLICY, rate_limit: SLOW_LIMIT() }],
    body: SMALL("safe"),
    isCrowd: true,
  },
  ...TOKEN_BYTES.map((bytes) => ({
    what: `the cache beside passing the token on, ${tokenName(bytes)}`,
    policies: [PASS_POLICY, again(PASS_POLICY), EXCHANGE_POLICY] as const,
    body: SMALL("safe"),
    authorization: `Bearer ${tokenOf(bytes)}`,
  })),
];

/** One under which no bucket is full again in time, so that each newcomer has another one's bucket. */
function SLOW_LIMIT(): object {
  return { per_principal: { requests: 1, seconds: 3_600, burst: 1_000_000 } };
}

/** Measures exchanges of each kind, `slices` times. @throws Error when one is refused. */
export function measureModule(module: Uint8Array, slices: number): ModuleTime[] {
  return KINDS.map((kind) => {
    const vm = Vm.load(module, { clusters: [SERVICE], environment: ENVIRONMENT });
    const plugins = kind.policies.map((policy) => {
      const plugin = vm.startPlugin(JSON.stringify(policy));
      if (!plugin.accepted) throw new Error(`${kind.what}: ${vm.logs.at(-1)?.message}`);
      return plugin;
    });
    const best = plugins.map(() => Number.POSITIVE_INFINITY);
    for (let slice = 0; slice < slices; slice++) {
      for (const at of shuffled([...plugins.keys()])) {
        best[at] = Math.min(best[at]!, microseconds(plugins[at]!, kind, slice * CALLS));
      }
      vm.logs.length = 0;
    }
    const [base, second, value] = best as [number, number, number];
    console.log(
      `${kind.what}, the module alone: ${(value - base).toFixed(2)} us more, again ${(second - base).toFixed(2)}`,
    );
    return { what: kind.what, base, again: second, value };
  });
}

/** Of one exchange, by some in a row, of which `from` is the number of the first. */
function microseconds(plugin: Plugin, { body, authorization, isCrowd = false }: Kind, from: number): number {
  const request = authorization === undefined ? REQUEST : { ...REQUEST, authorization };
  const callers = Array.from({ length: CALLS }, (_, index) =>
    isCrowd ? { ...PROPERTIES, [`${TOKEN}.sub`]: `visitor-${(from + index) % VISITORS}` } : PROPERTIES,
  );
  const start = performance.now();
  for (const properties of callers) {
    const stream = plugin.openStream({ properties });
    stream.requestHeaders(request, false);
    stream.requestBody(body, false);
    answerQuestion(plugin);
    stream.requestEnd();
    if (stream.localReply !== undefined) throw new Error(`refused: ${stream.localReply.body}`);
    finish(stream);
  }
  return ((performance.now() - start) * 1_000) / CALLS;
}

function finish(stream: HttpStream): void {
  stream.responseHeaders(RESPONSE, false);
  stream.responseBody(ANSWER, true);
  stream.finish();
}

/** The first request with a token asks the token endpoint. */
function answerQuestion(plugin: Plugin): void {
  for (const question of plugin.httpCalls) {
    const grant = {
      access_token: `${MINTED}token`,
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      expires_in: 7_200,
    };
    question.answer({ status: 200, headers: [["content-type", "application/json"]], body: JSON.stringify(grant) });
  }
}

const TOKEN = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${CALLER.provider}`;
const PROPERTIES = {
  [`${TOKEN}.iss`]: CALLER.issuer,
  [`${TOKEN}.sub`]: CALLER.subject,
  [`${TOKEN}.groups`]: CALLER.groups,
  "filter_state.io.istio.peer_principal": CALLER.workload,
};
const REQUEST = {
  ":method": "POST",
  ":path": "/mcp",
  ":scheme": "http",
  ":authority": "bench",
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};
const RESPONSE = { ":status": "200", "content-type": "application/json" };
