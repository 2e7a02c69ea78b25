// Calls that wait for a person, debug build: mutated calls in pieces, a service that answers well, badly, late or not at all, clients that go. No trap; the
// server gets a flagged call only with a receipt of its own, which the verifier of the service's side takes too; everything ends, and nothing is left.

import { createHash, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { canonicalText, type JsonNode, parseStrict } from "../../src/approval/canonical.ts";
import { callDigest, inputResponsesText } from "../../src/approval/digest.ts";
import { type Receipt, signReceipt, verifyReceipt } from "../../src/approval/receipt.ts";
import type { HttpCall, HttpStream, Plugin } from "../../src/host/index.ts";
import { type Mutation, mutate, mutation } from "../generators/mutate.ts";
import {
  APPROVAL,
  bodyOf,
  headersOf,
  ISSUER,
  KEY,
  KID,
  policyWith,
  type Question,
  SERVER,
  say,
  TOOL,
  tokenOf,
} from "../host/approval-calls.ts";
import { addPlugin, answer, type Delivery, send, startGuard } from "../host/guard.ts";
import { type Finding, samples } from "./samples.ts";

const OTHER_KEY = generateKeyPairSync("ec", { namedCurve: "P-256" });
const OTLP = { cluster: "collector", authority: "otel:4318", messages: "none" };

/** Small bounds, so that they are met; and two servers, whose calls are never each other's. */
const SMALL = { hold_seconds: 3, waiting: 6, waiting_per_principal: 4, arguments_bytes: 1024 };
const POLICIES = [
  { server: SERVER, policy: policyWith(SMALL) },
  {
    server: "other",
    policy: policyWith({ ...SMALL, server: "other", hold_seconds: 0, legacy_carrier: "url_elicitation" }),
  },
  {
    server: SERVER,
    policy: policyWith(
      { ...SMALL, service: { ...APPROVAL.service, poll_ms: 250 } },
      { request_headers: "hold", tasks: "allow", limits: { in_flight_bytes: 65_536 } },
    ),
  },
  { server: SERVER, policy: policyWith(SMALL, { audit: { otlp: OTLP, required: "all" }, refusal: "tool_error" }) },
] as const;

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const encoded = (text: string): string => Buffer.from(text).toString("base64url");

/** What the service knows an id by: one for each digest, so that identical calls have one. */
const idOf = (digest: string): string => createHash("sha256").update(digest).digest("base64url").slice(0, 22);

const argumentsOf = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>({ repo: "a" }, { repo: "b", n: 1.5 }, {}, undefined) },
  { weight: 2, arbitrary: fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }) },
  { weight: 1, arbitrary: fc.nat(1200).map((length) => ({ text: "x".repeat(length) })) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(null, [], "x") },
);
const responsesOf = fc.constantFrom<unknown>(
  ...[undefined, undefined, undefined, {}, { q: { action: "accept" } }, [], "x"],
  ...["accept", "decline", 1].map((action) => ({ "guard.approval": { action } })),
  { "guard.approval": { action: "accept" }, q: { action: "cancel" } },
);
/** `given`: what a client was last given. */
const stateOf = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 4, arbitrary: fc.constant("given" as const) },
  { weight: 1, arbitrary: fc.constantFrom("server's", 'a"\\\u0001', "mg1.", `mg1.${"A".repeat(22)}..`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.string({ maxLength: 9 }), fc.jsonValue({ maxDepth: 2 }))
      .map(([state, value]) => `mg1.${"A".repeat(22)}.${encoded(state)}.${encoded(JSON.stringify(value))}`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          "",
          "s",
          `mg1.${"A".repeat(22)}..`,
          '","arguments":{"repo":"c"},"x":"',
          '","task":{},"x":"',
          "a\\",
        ),
        fc.constantFrom(
          "",
          "{}",
          '{"q":1}',
          '{"guard.approval":{"action":"accept"}}',
          '{"q":1},"arguments":{}',
          '{"q":1},"task":{}',
        ),
      )
      .map(([state, value]) => `mg1.${"A".repeat(22)}.${encoded(state)}.${encoded(value)}`),
  },
);

const call = fc.record({
  kind: fc.constant("call" as const),
  plugin: fc.nat(POLICIES.length - 1),
  principal: fc.constantFrom("alice", "alice", "bob", "carol", 'd"\\e'),
  client: fc.constantFrom("legacy", "2025-11-25", "modern", "modern with links", "modern with links"),
  params: fc.record({
    name: fc.constantFrom(TOOL, TOOL, TOOL, TOOL, "safe"),
    arguments: argumentsOf,
    inputResponses: responsesOf,
    requestState: stateOf,
    task: fc.constantFrom(undefined, undefined, undefined, { ttl: 1 }),
  }),
  mutations: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(mutation, { maxLength: 3 })),
  cuts: fc.array(fraction, { maxLength: 4 }),
  end: fc.constantFrom<NonNullable<Delivery["end"]>>("separate", "merged", "trailers"),
});

/** How the service, or what stands between, ends a request. */
const ending = fc.oneof(
  { weight: 20, arbitrary: fc.constant({ how: "well" as const }) },
  { weight: 1, arbitrary: fc.constantFrom("timeOut", "cut", "refuse", "drop").map((how) => ({ how }) as const) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("replayed", "pending", "denied", "expired", "unknown", "digest", "approved", 1)
      .map((error) => ({ how: "refused" as const, status: 409, error })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(200, 204, 400, 401, 408, 422, 429, 500, 503)
      .map((status) => ({ how: "refused" as const, status, error: "x" })),
  },
  {
    weight: 2,
    arbitrary: fc.array(mutation, { minLength: 1, maxLength: 3 }).map((mutations) => ({
      how: "mutated" as const,
      mutations,
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        "[".repeat(300),
        '{"a":'.repeat(300),
        " ".repeat(65_537),
        "\u00ff",
        `{"id":"${"\\u0041".repeat(22)}"}`,
      )
      .map((text) => ({ how: "text" as const, text })),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom<Partial<Receipt>>(
        { digest: "0".repeat(64) },
        { id: "B".repeat(22) },
        { nonce: "B".repeat(22) },
        { server: "third" },
        { issuer: "https://other.example" },
        { principal: "mallory" },
        { tool: "delete_all" },
        { iat: 1_700_000_000, exp: 1_700_000_060 },
      )
      .map((changes) => ({ how: "changed" as const, changes })),
  },
  { weight: 1, arbitrary: fc.constant({ how: "other key" as const }) },
  { weight: 1, arbitrary: fc.nat().map((which) => ({ how: "earlier" as const, which })) },
);

const action = fc.oneof(
  { weight: 5, arbitrary: call },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constant("answer" as const),
      which: fc.nat(99),
      statuses: fc.array(fc.constantFrom("approved", "approved", "approved", "pending", "denied", "expired"), {
        minLength: 1,
        maxLength: 3,
      }),
      ending,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("tick" as const),
      plugin: fc.nat(POLICIES.length - 1),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("gone" as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("early" as const), which: fc.nat(20) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
type Call = Extract<Action, { kind: "call" }>;
type Ending = typeof ending extends fc.Arbitrary<infer T> ? T : never;

/** One call on its way, and what was sent of it. */
interface Sent {
  readonly stream: HttpStream;
  readonly plugin: number;
  readonly principal: string;
  readonly body: Buffer;
  isCounted: boolean;
}

/** Runs until the time is over or something is found; gives how many calls were made, and how many flagged ones reached the server. */
export async function fuzzApprovals(
  seconds: number,
  seed: number,
): Promise<{ calls: number; approved: number; findings: Finding[] }> {
  const clusters = ["approval", "collector"];
  const { vm, plugin: first } = startGuard(POLICIES[0].policy, { build: "debug", clusters });
  const plugins = [first, ...POLICIES.slice(1).map(({ policy }) => addPlugin(vm, policy))];
  const findings: Finding[] = [];
  const total = { calls: 0, approved: 0 };
  const warmUntil = Date.now() + seconds * 500;
  let warmBytes = 0;
  for (const { value, at } of samples(fc.array(action, { minLength: 10, maxLength: 60 }), seconds, seed)) {
    const run = new Run(plugins);
    const faults: string[] = [];
    for (const each of value) {
      await run.act(each);
      faults.push(...run.faults());
      if (vm.failed || faults.length > 0) break;
    }
    total.calls += run.sent.length;
    total.approved += run.approved;
    if (vm.failed) faults.push(`a trap: ${vm.failure?.message}`);
    else if (faults.length === 0) faults.push(...run.end(vm.contextCount.bind(vm)));
    if (Date.now() < warmUntil || warmBytes === 0) warmBytes = vm.memoryBytes();
    else if (vm.memoryBytes() > warmBytes + (1 << 20)) faults.push(`memory: ${warmBytes} to ${vm.memoryBytes()} bytes`);
    for (const found of faults)
      findings.push({ at, input: JSON.stringify(value), found, expected: "what the rules say" });
    if (findings.length > 0) break;
    vm.logs.length = 0;
  }
  return { ...total, findings };
}

/** The calls of one sample, and what has been handed out for them. */
class Run {
  readonly sent: Sent[] = [];
  approved = 0;
  readonly #plugins: readonly Plugin[];
  /** Good receipts that no call has used, by their nonce: what they let on. */
  readonly #grants = new Map<string, { readonly plugin: number; readonly digest: string }>();
  /** The fields of each digest that was asked about. */
  readonly #asked = new Map<string, Question>();
  readonly #receipts: string[] = [];
  #givenState = "";

  constructor(plugins: readonly Plugin[]) {
    this.#plugins = plugins;
  }

  async act(each: Action): Promise<void> {
    if (each.kind === "call") this.#send(each);
    else if (each.kind === "answer") await this.#answer(each);
    else if (each.kind === "tick") this.#tick(each.plugin, each.times);
    else this.#leave(each.kind, each.which);
  }

  /** What reached a server and should not have. */
  faults(): string[] {
    const found: string[] = [];
    for (const each of this.sent) {
      const { upstream } = each.stream;
      const bytes = upstream.body();
      if (bytes.length === 0 || each.isCounted) continue;
      each.isCounted = true;
      const call = callOf(bytes, POLICIES[each.plugin]!.server, each.principal);
      if (call === undefined) {
        if (!bytes.equals(each.body)) found.push(`another call than was sent: ${bytes.toString("latin1")}`);
        continue;
      }
      const grant = [...this.#grants].find(([, { plugin, digest }]) => plugin === each.plugin && digest === call);
      if (grant === undefined) found.push(`no receipt for ${bytes.toString("latin1")}`);
      else this.#grants.delete(grant[0]);
      const [sent, got] = [restOf(each.body), restOf(bytes)];
      if (sent !== got) found.push(`${got} instead of ${sent}`);
      if (hasOurs(bytes)) found.push(`what is ours in ${bytes.toString("latin1")}`);
      if (bytes.length !== each.body.length) found.push(`${bytes.length} bytes of a call of ${each.body.length}`);
      this.approved++;
    }
    return found;
  }

  /** Ends everything; what is left then. */
  end(contexts: () => number): string[] {
    const left: string[] = [];
    for (const plugin of this.#plugins) {
      for (let round = 0; round < 500 && plugin.tickPeriodMs > 0; round++) {
        plugin.tick();
        for (const http of plugin.httpCalls) say(http, http.cluster === "collector" ? "{}" : { error: "denied" }, 409);
      }
      if (plugin.tickPeriodMs !== 0) left.push(`a timer of ${plugin.tickPeriodMs} ms`);
    }
    for (const { stream } of this.sent) {
      const isOpen = !stream.finished && stream.upstream.body().length === 0;
      if (isOpen) left.push("a call without an end");
      if (!stream.finished) stream.clientGone();
    }
    if (contexts() !== this.#plugins.length) left.push(`${contexts()} contexts`);
    left.push(...this.faults());
    // Nothing is counted any more: each guard takes as many calls as its policy says.
    for (const [index, plugin] of this.#plugins.entries()) {
      const waiting = Array.from({ length: SMALL.waiting_per_principal }, () => this.#probe(index));
      if (waiting.some((stream) => stream.finished)) left.push(`a guard ${index} that is full`);
      for (const stream of waiting) stream.clientGone();
      for (const http of plugin.httpCalls) http.drop();
      for (let round = 0; round < 9 && plugin.tickPeriodMs > 0; round++) {
        plugin.tick();
        for (const http of plugin.httpCalls) say(http, "{}");
      }
    }
    return left;
  }

  #probe(plugin: number): HttpStream {
    const stream = { properties: tokenOf("probe"), headersStop: true };
    return send(this.#plugins[plugin]!, { body: bodyOf({}), headers: headersOf("legacy"), stream });
  }

  #send({ plugin, principal, client, params, mutations, cuts, end }: Call): void {
    const { requestState, ...rest } = params;
    const state = requestState === "given" ? this.#givenState || undefined : requestState;
    const whole = Buffer.from(bodyOf({ id: this.sent.length, client, params: { ...rest, requestState: state } }));
    const body = Buffer.from((mutations as readonly Mutation[]).reduce<Uint8Array>(mutate, whole));
    const stream = send(this.#plugins[plugin]!, {
      body,
      headers: headersOf(client, params.name),
      cuts: cuts.map((each) => Math.floor(each * body.length)).sort((one, other) => one - other),
      end,
      stream: { properties: tokenOf(principal), headersStop: true },
    });
    this.sent.push({ stream, plugin, principal, body, isCounted: false });
  }

  #tick(plugin: number, times: number): void {
    for (let index = 0; index < times && this.#plugins[plugin]!.tickPeriodMs > 0; index++)
      this.#plugins[plugin]!.tick();
    for (const { stream } of this.sent) {
      const given = /"requestState":"([^"]*)"/.exec(Buffer.from(stream.localReply?.body ?? []).toString("latin1"));
      if (given !== null) this.#givenState = given[1]!;
    }
  }

  /** The client is gone, or the server answers before it has the call. */
  #leave(kind: "gone" | "early", which: number): void {
    const stream = this.sent[which]?.stream;
    if (stream === undefined || stream.finished) return;
    if (kind === "gone") stream.clientGone();
    else if (stream.upstream.headers !== undefined && stream.downstream.status === undefined) answer(stream);
  }

  /** Ends one of the requests that are under way, whichever guard has made it. */
  async #answer({ which, statuses, ending }: Extract<Action, { kind: "answer" }>): Promise<void> {
    const calls = this.#plugins.flatMap(({ httpCalls }, plugin) => httpCalls.map((http) => ({ plugin, http })));
    const { plugin, http } = calls[which % Math.max(calls.length, 1)] ?? {};
    if (http === undefined || plugin === undefined) return;
    if (http.cluster === "collector") {
      if (ending.how === "well") say(http, "{}");
      else http.drop();
      return;
    }
    const endpoint = http.headers.get(":path");
    const question = JSON.parse(http.body.toString("utf8")) as Question;
    if (endpoint === "/v1/open") this.#asked.set(question.digest, question);
    if (await this.#endOtherwise(http, ending)) return;
    if (endpoint === "/v1/open") {
      this.#say(http, { id: idOf(question.digest), status: statuses[0]!, expires: 1 }, ending);
    } else if (endpoint === "/v1/poll") {
      const said = question.ids.map((id, index) => [id, statuses[index % statuses.length]!]);
      this.#say(http, Object.fromEntries(said), ending);
    } else {
      await this.#giveReceipt(http, question, plugin, ending);
    }
  }

  /** The ways that do not depend on the question. */
  async #endOtherwise(http: HttpCall, ending: Ending): Promise<boolean> {
    switch (ending.how) {
      case "timeOut":
      case "cut":
      case "refuse":
      case "drop":
        http[ending.how]();
        return true;
      case "refused":
        say(http, { error: ending.error }, ending.status);
        return true;
      case "text":
        http.answer({ status: 200, body: Buffer.from(ending.text, "latin1") });
        return true;
      default:
        return false;
    }
  }

  #say(http: HttpCall, value: object, ending: Ending): void {
    http.answer({ status: 200, body: changed(Buffer.from(JSON.stringify(value)), ending) });
  }

  async #giveReceipt(http: HttpCall, claim: Question, plugin: number, ending: Ending): Promise<void> {
    const open = this.#asked.get(claim.digest)!;
    const now = Math.floor(Date.now() / 1000);
    const right = {
      id: String(claim.id),
      nonce: claim.nonce,
      digest: claim.digest,
      server: String(open.server),
      issuer: String(open.issuer),
      principal: String(open.principal),
      tool: String(open.tool),
    };
    const receipt = { ...right, approver: "somebody", iat: now, exp: now + 60 };
    const isChanged = ending.how === "changed";
    const key = ending.how === "other key" ? OTHER_KEY : KEY;
    let jws = await signReceipt(isChanged ? { ...receipt, ...ending.changes } : receipt, key.privateKey, KID);
    if (ending.how === "earlier" && this.#receipts.length > 0) {
      jws = this.#receipts[ending.which % this.#receipts.length]!;
    }
    this.#receipts.push(jws);
    const body = changed(Buffer.from(JSON.stringify({ receipt: jws })), ending);
    if (await isGood(body, right)) this.#grants.set(claim.nonce, { plugin, digest: claim.digest });
    http.answer({ status: 200, body });
  }
}

function changed(body: Uint8Array, ending: Ending): Uint8Array {
  return ending.how === "mutated" ? (ending.mutations as readonly Mutation[]).reduce(mutate, body) : body;
}

/** Whether an answer has a receipt that the verifier takes, and that says what it must. */
async function isGood(body: Uint8Array, right: Partial<Receipt>): Promise<boolean> {
  const node = strict(Buffer.from(body));
  const receipt = node === undefined ? undefined : member(node, "receipt");
  if (receipt?.kind !== "string") return false;
  const verified = await verifyReceipt(receipt.value, new Map([[KID, KEY.publicKey]]));
  if (!("receipt" in verified)) return false;
  const said = verified.receipt;
  const isOfNow = Math.abs(said.iat - Date.now() / 1000) < 300;
  return isOfNow && Object.entries(right).every(([name, value]) => said[name as keyof Receipt] === value);
}

/** The digest of a flagged call that a server got; undefined when it is none. */
function callOf(body: Buffer, server: string, principal: string): string | undefined {
  const node = strict(body);
  const params = node === undefined ? undefined : member(node, "params");
  if (node === undefined || params === undefined) return undefined;
  const [method, name] = [member(node, "method"), member(params, "name")];
  if (method?.kind !== "string" || method.value !== "tools/call") return undefined;
  if (name?.kind !== "string" || name.value === "safe") return undefined;
  const text = (of: string, write: (value: JsonNode) => string): string => {
    const value = member(params, of);
    return value === undefined ? "" : write(value);
  };
  return callDigest({
    server,
    authority: "server",
    path: "/mcp",
    issuer: ISSUER,
    principal,
    method: method.value,
    tool: name.value,
    arguments: text("arguments", canonicalText),
    task: text("task", canonicalText),
    inputResponses: text("inputResponses", inputResponsesText),
  });
}

/** A call without what the guard may take out of it or put back. */
function restOf(body: Buffer): string | undefined {
  const node = strict(body);
  if (node?.kind !== "object") return undefined;
  const members = node.members.map((each) => {
    if (each.name !== "params" || each.value.kind !== "object") return each;
    const stays = each.value.members.filter(({ name }) => name !== "requestState" && name !== "inputResponses");
    return { ...each, value: { ...each.value, members: stays } };
  });
  return canonicalText({ ...node, members });
}

/** Whether a call has something of the guard's in it. Another spelling of our state is a server's. */
function hasOurs(body: Buffer): boolean {
  const node = strict(body);
  const params = node === undefined ? undefined : member(node, "params");
  const responses = params === undefined ? undefined : member(params, "inputResponses");
  const isAnswered = responses !== undefined && member(responses, "guard.approval") !== undefined;
  return isAnswered || /"requestState"\s*:\s*"mg1\./.test(body.toString("latin1"));
}

function strict(bytes: Buffer): JsonNode | undefined {
  const text = bytes.toString("utf8");
  if (!Buffer.from(text).equals(bytes)) return undefined;
  try {
    return parseStrict(text);
  } catch {
    return undefined;
  }
}

function member(node: JsonNode, name: string): JsonNode | undefined {
  return node.kind === "object" ? node.members.find((each) => each.name === name)?.value : undefined;
}
