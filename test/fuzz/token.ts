// Callers whose tokens are exchanged, debug build: headers that are right, mutated, doubled or of another kind, bodies in pieces, a token endpoint that answers well,
// badly, late, twice or not at all, clients that go, policies that change, host calls that fail. No trap; the server sees only a token that was given for the
// caller's own, and no body without a verdict; everything ends, and nothing is left.

import fc from "fast-check";
import { HttpClient } from "../../src/host/http-call.ts";
import type { HeaderPair, HttpCall, HttpStream } from "../../src/host/index.ts";
import { Machine } from "../../src/host/machine.ts";
import { addAgain } from "../host/configured-again.ts";
import { answer, BUILDS, JSON_HEADERS } from "../host/guard.ts";
import { ACCESS_TOKEN, grant, ISSUER, jwt, SECRET, say, validated } from "../host/token-calls.ts";
import { givenToken, subjectToken } from "../oracle/token.ts";
import { type Finding, samples } from "./samples.ts";
import {
  type Action,
  action,
  asHeader,
  CACHE_SECONDS,
  changed,
  type Ending,
  HOLDS,
  KINDS,
  type Open,
  STRIPS,
} from "./token-actions.ts";
import { faultsOfBody, faultsOfHead, isOpen, type Place, type Sent, stateOf } from "./token-faults.ts";

/** The guards take 3 to 6 MiB, whatever comes: memory grows by doubling, when what they may hold comes together. */
const MEMORY_MAX = 8 << 20;
const MARGIN_SECONDS = 10;
const TICK_MS = 250;
/** More than any stream waits for here, the ticks that come at once included. */
const TICKS_TO_THE_END = 60;
const ENVIRONMENT = { CLIENT_SECRET: SECRET };
const CLUSTERS = { clusters: ["idp", "collector"] };

/** A token that the endpoint has given, and what for. */
interface Issue {
  readonly subject: string;
  readonly audience: string;
  readonly turn: number;
  readonly until: bigint;
  /** The turn at which a server has not accepted it. */
  rejected: number;
}

/** Runs until the time is over or something is found; gives how many requests were made, and how many had a new token at the server. */
export function fuzzTokens(
  seconds: number,
  seed: number,
): { requests: number; exchanged: number; findings: Finding[] } {
  const world = new World();
  const findings: Finding[] = [];
  const total = { requests: 0, exchanged: 0 };
  const { machine } = world;
  for (const { value, at } of samples(fc.array(action, { minLength: 10, maxLength: 80 }), seconds, seed)) {
    const run = new Run(world);
    const found = run.all(value);
    total.requests += run.sent.length;
    total.exchanged += run.sent.filter(({ stream }) => (reached(stream) ?? []).length > 0).length;
    const bytes = machine.memory.byteLength;
    if (bytes > MEMORY_MAX) found.push(`memory: ${bytes} bytes`);
    for (const each of found) {
      findings.push({ at, input: JSON.stringify(run.told), found: each, expected: "what the rules say" });
    }
    if (findings.length > 0) break;
    machine.logs.length = 0;
  }
  return { ...total, findings };
}

const reached = (stream: HttpStream): string[] | undefined => stream.upstream.headers?.getAll("authorization");

/** One VM with a guard of each kind, and its clock, over all samples. */
class World {
  readonly machine: Machine;
  readonly places: Place[];
  readonly #client = new HttpClient(CLUSTERS);
  at = 1_800_000_000n * 1_000_000_000n;
  turn = 0;
  tokens = 0;
  /** All that has been given, by token: a guard keeps it for longer than a sample. */
  readonly issues = new Map<string, Issue[]>();
  #audiences = 0;

  constructor() {
    const options = { now: () => this.at, environment: ENVIRONMENT };
    this.machine = new Machine(new WebAssembly.Module(BUILDS.debug), options);
    this.places = KINDS.map((_, kind) => this.add(kind));
  }

  audience(): string {
    return `https://mcp.example/${++this.#audiences}`;
  }

  add(kind: number): Place {
    const audience = this.audience();
    return { kind, guard: addAgain(this.machine, this.#client, KINDS[kind]!(audience)), audience };
  }
}

/** The requests of one sample, and what has been given for them. */
class Run {
  readonly sent: Sent[] = [];
  /** What was done, so that somebody can see what has led to a finding. */
  readonly told: unknown[] = [];
  readonly #world: World;
  /** Tokens that have been given in this sample. */
  readonly #given: string[] = [];
  /** Guards that others have taken the place of. */
  readonly #old: Place[] = [];
  readonly #answered: { readonly place: Place; readonly http: HttpCall }[] = [];
  readonly #wrong: string[] = [];
  #isCalm = true;

  constructor(world: World) {
    this.#world = world;
  }

  /** Does all of it and ends it; what is wrong then. */
  all(actions: readonly Action[]): string[] {
    const { machine } = this.#world;
    try {
      for (const each of actions) {
        this.#world.turn++;
        this.#act(each);
        const found = this.#faults();
        if (found.length > 0) return found;
      }
      return this.#end();
    } catch (error) {
      return [`the host: ${(error as Error).stack}`];
    } finally {
      machine.faults.clear();
    }
  }

  #act(each: Action): void {
    if (each.kind !== "open") this.told.push({ turn: this.#world.turn, ...each });
    switch (each.kind) {
      case "open":
        for (let i = 0; i < each.times; i++) this.#open(each);
        break;
      case "feed":
        for (let i = 0; i < each.count; i++) this.#pick(each.which)?.rest.shift()?.();
        return;
      case "answer": {
        const { place, http } = this.#asked(each.which) ?? {};
        if (place !== undefined && http !== undefined) this.#answer(place, http, each.ending);
        return;
      }
      case "twice":
        this.#answerAgain(each.which, each.ending);
        break;
      case "respond":
        this.#respond(each.which, each.status);
        break;
      case "gone": {
        const one = this.#pick(each.which);
        if (one !== undefined && !one.stream.finished) one.stream.clientGone();
        return;
      }
      case "tick":
        for (let i = 0; i <= each.times; i++) this.#tick(this.#world.places[each.guard]!);
        for (const place of this.#old) this.#tick(place);
        return;
      case "pass":
        this.#world.at += BigInt(each.seconds) * 1_000_000_000n;
        return;
      case "configure":
        this.#configure(this.#world.places[each.guard]!);
        break;
      case "replace":
        this.#replace(each.guard);
        break;
      case "fail":
        this.#isCalm = false;
        this.#world.machine.faults.next(each.name, statusOf(each), each.after);
        return;
      case "calm":
        this.#calm();
    }
  }

  #calm(): void {
    this.#world.machine.faults.clear();
    this.#isCalm = true;
  }

  /** One of the requests that are under way, of the last ones rather. */
  #pick(which: number): Sent | undefined {
    const alive = this.sent.filter(({ stream }) => !stream.finished).slice(-8);
    return alive[which % Math.max(alive.length, 1)];
  }

  #open(each: Open): void {
    const place = this.#world.places[each.guard]!;
    const shown = each.shown === "same" ? each.principal : each.shown;
    const token = asHeader(Buffer.from(jwt(each.payload(each.principal, each.claim), each.signature), "latin1"));
    const values = each.headers(token);
    const path = each.path(token);
    const hasBody = each.method === "POST";
    const who = {
      guard: each.guard,
      shown,
      claim: each.claim,
      values: values.map((value) => value.slice(0, 300)),
      path,
    };
    const how = { method: each.method, cuts: each.cuts, end: each.end, upfront: each.upfront, stop: each.headersStop };
    this.told.push({ turn: this.#world.turn, kind: "open", ...who, ...how, body: each.body.toString("latin1") });
    const properties =
      shown === "nobody" ? {} : validated(shown, each.claim === "sub" ? "people" : "staff", each.claim);
    const stream = place.guard.plugin.openStream({ properties, headersStop: HOLDS[place.kind]! || each.headersStop });
    const sent: Sent = {
      stream,
      place,
      audience: place.audience,
      turn: this.#world.turn,
      at: this.#world.at,
      values,
      subject: shown === "nobody" ? undefined : subjectToken(values, ISSUER, each.claim, shown),
      body: hasBody ? each.body : undefined,
      rest: hasBody ? steps(stream, each, token) : [],
      isAnswered: false,
    };
    this.sent.push(sent);
    const head: HeaderPair[] = [
      [":method", each.method],
      [":path", path],
      [":scheme", "http"],
      [":authority", "server"],
      ...(hasBody ? JSON_HEADERS : []),
      ...values.map((value): HeaderPair => ["authorization", value]),
    ];
    stream.requestHeaders(head, !hasBody);
    if (this.#isCalm && path === "/mcp" && sent.subject !== undefined) this.#checkTaken(sent);
    for (let i = 0; i < each.upfront; i++) sent.rest.shift()?.();
  }

  /** A token that can be exchanged is not refused for what it is. */
  #checkTaken({ stream, values }: Sent): void {
    if (stream.localReply?.details !== "mcp_guard.token_invalid") return;
    this.#wrong.push(`a good token that is refused: ${values}`);
  }

  #tick({ guard: { plugin } }: Place): void {
    if (plugin.tickPeriodMs === 0) return;
    this.#world.at += BigInt(TICK_MS) * 1_000_000n;
    plugin.tick();
  }

  /** The same guard gets another policy; what a failing host call has refused is tried again. */
  #configure(place: Place): void {
    const audience = this.#world.audience();
    const policy = KINDS[place.kind]!(audience);
    if (!place.guard.accepts(policy)) {
      this.#calm();
      place.guard.configure(policy);
    }
    place.audience = audience;
  }

  /** A new guard, as Envoy has it: the other one goes when its streams have ended. */
  #replace(kind: number): void {
    this.#calm();
    this.#old.push(this.#world.places[kind]!);
    this.#world.places[kind] = this.#world.add(kind);
  }

  #respond(which: number, status: number): void {
    const waiting = this.sent.filter(
      ({ stream, isAnswered }) => stream.upstream.headers !== undefined && !stream.finished && !isAnswered,
    );
    const one = waiting[which % Math.max(waiting.length, 1)];
    if (one === undefined || one.stream.localReply !== undefined) return;
    one.isAnswered = true;
    if (status === 200) answer(one.stream);
    else one.stream.responseHeaders({ ":status": String(status), "www-authenticate": "Bearer" }, true);
    if (status !== 401 || !this.#isCalm) return;
    // One that was given twice may be kept twice, for two claims of one token.
    const used = this.#issuesFor(one);
    if (used.length === 1 && one.place.audience === one.audience) used[0]!.rejected = this.#world.turn;
  }

  #issuesFor({ stream, subject, audience }: Sent): Issue[] {
    const [value = ""] = reached(stream) ?? [];
    const issues = value.startsWith("Bearer ") ? this.#world.issues.get(value.slice("Bearer ".length)) : undefined;
    return (issues ?? []).filter((issue) => issue.subject === subject && issue.audience === audience);
  }

  // The token endpoint.

  #asked(which: number): { readonly place: Place; readonly http: HttpCall } | undefined {
    const all = [...this.#world.places, ...this.#old].flatMap((place) =>
      place.guard.plugin.httpCalls.map((http) => ({ place, http })),
    );
    return all[which % Math.max(all.length, 1)];
  }

  #answer(place: Place, http: HttpCall, ending: Ending): void {
    if (http.cluster === "collector") {
      if (ending.how === "well") say(http, "{}");
      else http.drop();
      return;
    }
    this.#answered.push({ place, http });
    switch (ending.how) {
      case "timeOut":
      case "cut":
      case "refuse":
      case "drop":
        http[ending.how]();
        break;
      case "body":
        this.#say(place, http, Buffer.from(JSON.stringify(ending.body)), ending.status);
        break;
      case "text":
        this.#say(place, http, Buffer.from(ending.text, "latin1"), 200);
        break;
      default: {
        const bytes = Buffer.from(JSON.stringify(this.#granted(http, ending)));
        const said = ending.how === "mutated" ? changed(bytes, ending.changes) : bytes;
        this.#say(place, http, said, ending.how === "wrong" ? ending.status : 200, ending.how === "well");
      }
    }
  }

  #granted(http: HttpCall, ending: Ending): object {
    const fresh = `minted-${++this.#world.tokens}-`;
    switch (ending.how) {
      case "well":
        return grant(fresh.padEnd(ending.length, "t"), { expires_in: ending.expires });
      case "wrong":
        return grant(fresh, ending.wrong);
      case "echo":
        return grant(formOf(http).get("subject_token") ?? "");
      case "earlier":
        return grant(this.#given[ending.earlier % Math.max(this.#given.length, 1)] ?? fresh);
      default:
        return grant(fresh);
    }
  }

  /** `isPlain`: with nothing about it that could be taken for wrong. */
  #say(place: Place, http: HttpCall, bytes: Buffer, status: number, isPlain = false): void {
    const form = formOf(http);
    const subject = form.get("subject_token") ?? "";
    const audience = form.get("audience") ?? "";
    const given = status === 200 ? givenToken(bytes, subject, ACCESS_TOKEN) : undefined;
    // What was asked for under an earlier policy is nothing under this one.
    if (given !== undefined && audience === place.audience) {
      const good = Math.min((given.expires ?? 0) - MARGIN_SECONDS, CACHE_SECONDS);
      const until = this.#world.at + BigInt(Math.max(good, 0)) * 1_000_000_000n;
      const issue = { subject, audience, turn: this.#world.turn, until, rejected: Number.POSITIVE_INFINITY };
      this.#world.issues.set(given.token, [...(this.#world.issues.get(given.token) ?? []), issue]);
      this.#given.push(given.token);
    }
    const before = this.#failed();
    say(http, bytes, status);
    const isWrong = isPlain && this.#isCalm && this.#failed() > before;
    if (isWrong) this.#wrong.push(`a good answer that is of no use: ${bytes.toString("latin1")}`);
  }

  /** How many were told that there is no token for them. */
  #failed(): number {
    return this.sent.filter(({ stream }) => stream.localReply?.details === "mcp_guard.token_exchange_unavailable")
      .length;
  }

  /** A proxy that errs: a second answer to a question, or one to a question that nobody has asked. Nothing is given by either. */
  #answerAgain(which: number, ending: Ending): void {
    const { http } = this.#answered[which % Math.max(this.#answered.length, 1)] ?? {};
    if (http === undefined) {
      for (const { guard } of this.#world.places) guard.strayAnswer(which);
      return;
    }
    http.ended = false;
    say(http, this.#granted(http, ending));
  }

  // What must be.

  /** What has reached a server and should not have. */
  #faults(): string[] {
    const { failure, logs } = this.#world.machine;
    if (failure !== undefined) return [`a trap: ${failure.message}`];
    const found = this.sent.flatMap((sent) => [
      ...faultsOfHead(sent),
      ...faultsOfBody(sent),
      ...this.#faultsOfToken(sent),
    ]);
    found.push(...this.#wrong);
    const told = [...logs.map(({ message }) => message), ...this.sent.map(recordOf)].join("\n");
    if (told.includes("minted-") || told.includes(SECRET)) found.push("a token or a secret that is told");
    return found;
  }

  #faultsOfToken(sent: Sent): string[] {
    const tokens = reached(sent.stream);
    if (tokens === undefined || tokens.length === 0 || STRIPS[sent.place.kind]) return [];
    const issues = this.#issuesFor(sent);
    if (issues.length === 0) return [`a token that was not given for this caller's: ${tokens}`];
    const isGood = issues.some(({ turn, until, rejected }) => {
      const hasWaited = sent.turn <= turn;
      return hasWaited || (sent.at < until && sent.turn <= rejected);
    });
    return isGood ? [] : [`a token that was not good any more: ${tokens}`];
  }

  /** Ends everything; what is left then. */
  #end(): string[] {
    this.#calm();
    this.told.push("the end");
    const places = [...this.#world.places, ...this.#old];
    // Where the timer itself has failed, the next request starts it.
    for (const place of places) this.#probe(place);
    for (let round = 0; round < TICKS_TO_THE_END; round++) {
      for (const place of places) {
        this.#tick(place);
        for (const http of place.guard.plugin.httpCalls) if (http.cluster === "collector") say(http, "{}");
      }
    }
    const left = this.sent.filter(isOpen).map((sent) => `a request without an end: ${stateOf(sent)}`);
    // Nobody waits for these any more.
    this.#world.turn++;
    for (const place of places) {
      for (const http of place.guard.plugin.httpCalls) say(http, grant(`minted-${++this.#world.tokens}-late`));
    }
    left.push(...this.#faults());
    for (const { stream } of this.sent) if (!stream.finished) stream.clientGone();
    for (const place of places) {
      for (let round = 0; round < TICKS_TO_THE_END && place.guard.plugin.tickPeriodMs > 0; round++) {
        this.#tick(place);
        for (const http of place.guard.plugin.httpCalls) say(http, "{}");
      }
      if (place.guard.plugin.tickPeriodMs !== 0) left.push(`a timer of guard ${place.kind}`);
    }
    for (const { guard } of this.#old) guard.plugin.stop();
    const contexts = this.#world.machine.contexts.size;
    if (contexts !== this.#world.places.length) left.push(`${contexts} contexts`);
    return [...left, ...this.#faults()];
  }

  #probe({ guard: { plugin } }: Place): void {
    const stream = plugin.openStream({ headersStop: true });
    const head = { ":method": "POST", ":path": "/mcp", ":scheme": "http", ":authority": "server" };
    stream.requestHeaders([...Object.entries(head), ...JSON_HEADERS], false);
    stream.clientGone();
  }
}

/** How a host call fails: an allocation gives nothing, and "not found" is no failure of a removal. */
function statusOf({ name, status }: { readonly name: string; readonly status: number }): number {
  const NOT_FOUND = 1;
  const BAD_ARGUMENT = 2;
  if (name === "proxy_on_memory_allocate") return 0;
  return name === "proxy_remove_header_map_value" && status === NOT_FOUND ? BAD_ARGUMENT : status;
}

/** The pieces of a body and its end, each to be sent when its time has come. */
function steps(stream: HttpStream, { body, cuts, end }: Open, token: string): (() => void)[] {
  const ends = cuts.map((each) => Math.floor(each * body.length)).sort((one, other) => one - other);
  const pieces = [0, ...ends].map((from, index) => body.subarray(from, ends[index] ?? body.length));
  const last = pieces.pop()!;
  const all = pieces.filter(({ length }) => length > 0).map((piece) => () => stream.requestBody(piece, false));
  if (last.length > 0 || end === "merged") all.push(() => stream.requestBody(last, end === "merged"));
  if (end === "separate") all.push(() => stream.requestEnd());
  const trailers: HeaderPair[] = [
    ["authorization", `Bearer ${token}`],
    ["x-checksum", "0"],
  ];
  if (end === "trailers") all.push(() => stream.requestTrailers(trailers));
  return all;
}

function formOf(http: HttpCall): URLSearchParams {
  return new URLSearchParams(http.body.toString("latin1"));
}

function recordOf({ stream }: Sent): string {
  return stream.filterState.get("mcp_audit") ?? "";
}
