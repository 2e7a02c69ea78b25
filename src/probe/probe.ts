// Whether a guard is in the path of a URL: one call that must be refused, in the forms of both eras of MCP, and, where the
// answer leaves it open, a ping that only a guard refuses, and in words of its own.
import { randomBytes } from "node:crypto";
import { Agent, type Dispatcher } from "undici";
import { visible } from "../audit/visible.ts";
import { type Answer, exchange, type Failure } from "./exchange.ts";
import type { FindingName } from "./findings.ts";
import { doubledPing, legacyCall, modernCall, type ProbeMessage } from "./messages.ts";
import { type Movement, movement, readStats, type Stats } from "./proxy-stats.ts";
import { type Reading, readAnswer } from "./reading.ts";
import { IN_PLACE_OF_ANSWERS, UNWELL } from "./refusals.ts";
import { strangeAnswer } from "./strange-answer.ts";

/** What to ask. */
export interface ProbeOptions {
  readonly url: URL;
  /** In addition to the probe's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** A tool that no server has; without it a random one. */
  readonly tool?: string;
  /** For everything together. */
  readonly timeoutMs: number;
  /** Envoy's administration interface. */
  readonly admin?: URL;
  readonly signal: AbortSignal;
}

/**
 * `enforces`: a guard has refused the call. `monitors`: a guard has seen it and let it pass. `absent`: no guard that enforces. `unknown`:
 * the answer does not tell.
 */
export type Verdict = "enforces" | "monitors" | "absent" | "unknown";

/** What came of it. */
export interface ProbeResult {
  readonly verdict: Verdict;
  readonly finding: FindingName;
  /** One sentence. */
  readonly text: string;
  /** The tool that was called. */
  readonly tool: string;
  readonly mode?: "enforce" | "monitor";
  /** The digest of the policy. */
  readonly policy?: string;
  readonly reason?: string;
  /** `refusal` of the policy, as far as the answer shows it; `http` for a refusal that has a form of its own. */
  readonly form?: string;
  readonly detail?: "explain" | "masked";
  readonly httpStatus?: number;
  readonly requestId?: string;
  /** What else there is to know. */
  readonly notes: readonly string[];
}

/** How long the proxy may take to count an exchange that has ended. */
const COUNTED_MS = 1_500;
const COUNT_PAUSE_MS = 50;

type Result = Omit<ProbeResult, "tool" | "notes"> & { readonly notes?: readonly string[] };

/** One answer and what it is. */
interface Step {
  readonly answer: Answer;
  readonly reading: Reading;
}

/** Asks. Nothing but the URL and the admin address is connected to, and the headers go to the URL alone. */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const token = randomBytes(8).toString("hex");
  const tool = options.tool ?? `mcp-guard-probe-${token}`;
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([options.signal, timeout]);
  const dispatcher = new Agent({ connect: { timeout: options.timeoutMs } });
  try {
    const proxy = await ProxyWatch.start(options.admin, dispatcher, signal);
    const result = await ask(options, tool, `mcp-guard-probe-${token}`, dispatcher, signal);
    options.signal.throwIfAborted();
    const moved = await proxy?.moved();
    const judged = moved === undefined ? result : withProxy(result, moved, tool);
    return { ...judged, tool, notes: [...(judged.notes ?? []), ...(proxy?.notes ?? [])] };
  } finally {
    await dispatcher.destroy();
  }
}

async function ask(
  { url, headers, timeoutMs, tool: named }: ProbeOptions,
  tool: string,
  id: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Result> {
  const send = async (message: ProbeMessage): Promise<Step | Failure> => {
    const all = { ...message.headers, ...headers };
    const answer = await exchange({ method: "POST", url, headers: all, body: message.body }, dispatcher, signal);
    return answer.kind === "failure" ? answer : { answer, reading: readAnswer(answer, message.id) };
  };
  const modern = await send(modernCall(tool, id));
  if (!("reading" in modern)) return failed(modern, url, timeoutMs);
  if (modern.reading.kind === "guard") return refused(modern, tool);
  if (isFinal(modern)) return strangeAnswer(modern.answer, url);
  const legacy = await send(legacyCall(tool, id));
  if ("reading" in legacy && legacy.reading.kind === "guard") return refused(legacy, tool);
  const call = [legacy, modern].find((step): step is Step => "reading" in step && step.reading.kind !== "other");
  if (call === undefined) return strangeAnswer(("reading" in legacy ? legacy : modern).answer, url);
  // A server that answers a random name in words of its own has no guard in front that enforces: there is nothing more to ask.
  const isOpen = call.reading.kind !== "server" || named !== undefined;
  const ping = isOpen ? await send(doubledPing(id)) : undefined;
  return judge(call, ping, tool, url);
}

/** An answer of somebody in front, who will not say anything else to the next form of the call. */
function isFinal({ answer, reading }: Step): boolean {
  const { status } = answer;
  return reading.kind === "other" && (status === 401 || status === 403 || (status >= 300 && status < 400));
}

/** What the call got, in the light of what the ping got. */
function judge({ answer, reading }: Step, ping: Step | Failure | undefined, tool: string, url: URL): Result {
  const pinged = ping !== undefined && "reading" in ping ? ping.reading : undefined;
  const httpStatus = answer.status;
  if (pinged?.kind === "guard") {
    const detail = pinged.isMasked ? "masked" : "explain";
    const known = {
      mode: "enforce",
      detail,
      httpStatus,
      ...(pinged.policy !== "" && { policy: pinged.policy }),
    } as const;
    if (reading.kind === "masked") {
      const text = `a guard enforces: it refused the call of ${visible(tool)} without a reason (refusal_detail: masked), and a ping with its id twice as only a guard does`;
      return { verdict: "enforces", finding: "refused_masked", text, form: reading.form, ...known };
    }
    const text = `a guard enforces: it refused a ping with its id twice (${pinged.reason}); the call of ${visible(tool)} passed, so its policy lists that tool`;
    return { verdict: "enforces", finding: "tool_listed", text, reason: pinged.reason, ...known };
  }
  if (reading.kind === "ambiguous") {
    const text = `${shownUrl(url)} refused the call in words that a guard with refusal_detail: masked has (${reading.reason}), and others too; --admin tells them apart`;
    return { verdict: "unknown", finding: "ambiguous_refusal", text, httpStatus };
  }
  const what = reading.kind === "server" ? reading.what : "Unknown tool";
  const text = `no guard enforces: the server itself answered the call of ${visible(tool)} (${what}, HTTP ${httpStatus}). There is no guard, or one with mode: monitor; --admin tells them apart`;
  return { verdict: "absent", finding: "server_answered", text, httpStatus };
}

function refused({ answer, reading }: Step, tool: string): Result {
  if (reading.kind !== "guard") throw new Error("a refusal that is none");
  const { reason, form, isMasked, policy, requestId } = reading;
  const common: Result = {
    verdict: "enforces",
    finding: "refused",
    text: `a guard enforces: it refused the call of ${visible(tool)} (${reason})`,
    mode: "enforce",
    reason,
    form,
    detail: isMasked ? "masked" : "explain",
    httpStatus: answer.status,
    ...(policy !== "" && { policy }),
    ...(requestId !== "" && { requestId: visible(requestId) }),
  };
  if (IN_PLACE_OF_ANSWERS.has(reason)) {
    const text = `a guard enforces: it refused the server's answer (${reason}); the call of ${visible(tool)} passed, so its policy lists that tool`;
    return { ...common, finding: "tool_listed", text };
  }
  if (UNWELL.has(reason)) {
    const note = `the guard is not well: docs/reasons.md, ${reason}, says what to do`;
    return { ...common, finding: "refused_unwell", notes: [note] };
  }
  if (reason === "tool_not_listed") return common;
  return { ...common, notes: [`it did not come to the tool's name: docs/reasons.md, ${reason}, says why`] };
}

function failed({ name, text }: Failure, url: URL, timeoutMs: number): Result {
  if (name === "timeout") {
    const seconds = timeoutMs / 1000;
    const sentence = `${url.host} did not answer within ${seconds} seconds; a guard that is not set up for its proxy answers after limits.stall_ms and a quarter more (--timeout)`;
    return { verdict: "unknown", finding: "timeout", text: sentence };
  }
  return { verdict: "unknown", finding: name, text: `${url.host} ${text}` };
}

/** Without what may be secret in it. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** The proxy's own counters, before and after. */
class ProxyWatch {
  readonly notes: string[] = [];
  readonly #admin: URL;
  readonly #dispatcher: Dispatcher;
  readonly #signal: AbortSignal;
  #before: Stats | undefined;

  private constructor(admin: URL, dispatcher: Dispatcher, signal: AbortSignal) {
    this.#admin = admin;
    this.#dispatcher = dispatcher;
    this.#signal = signal;
  }

  static async start(
    admin: URL | undefined,
    dispatcher: Dispatcher,
    signal: AbortSignal,
  ): Promise<ProxyWatch | undefined> {
    if (admin === undefined) return undefined;
    const watch = new ProxyWatch(admin, dispatcher, signal);
    watch.#before = await watch.#read();
    return watch;
  }

  /** What has moved since the start; undefined when the proxy does not tell. */
  async moved(): Promise<Movement | undefined> {
    const before = this.#before;
    if (before === undefined) return undefined;
    const deadline = performance.now() + COUNTED_MS;
    for (;;) {
      const after = await this.#read();
      if (after === undefined) return undefined;
      const found = movement(before, after);
      const isCounted = found.decisions.size > 0 || found.rbacDenied || found.standInDenied || !found.hasGuard;
      if (isCounted || performance.now() > deadline || this.#signal.aborted) return found;
      await new Promise((resolve) => setTimeout(resolve, COUNT_PAUSE_MS));
    }
  }

  async #read(): Promise<Stats | undefined> {
    try {
      return await readStats(this.#admin, this.#dispatcher, this.#signal);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.notes.push(`the proxy was not asked: ${this.#admin.host} ${why}`);
      return undefined;
    }
  }
}

/** The verdict again, with what the proxy has counted meanwhile. */
function withProxy(result: Result, moved: Movement, tool: string): Result {
  const [policy] = moved.policies;
  const inForce = moved.policies.length === 1 && policy !== undefined ? { policy } : {};
  const several = moved.policies.length > 1 ? [`this proxy has several policies: ${moved.policies.join(", ")}`] : [];
  const notes = [...(result.notes ?? []), ...several];
  const { decisions } = moved;
  if (result.verdict === "enforces") {
    if (decisions.has("refuse")) return { ...inForce, ...result, notes };
    const note = moved.hasGuard
      ? "the proxy at --admin has counted no refusal: another one has refused the call"
      : "the proxy at --admin has no guard: another one has refused the call";
    return { ...result, notes: [...notes, note] };
  }
  // Where nobody has answered, what the proxy counted was about somebody else.
  if (result.httpStatus === undefined) return { ...result, notes };
  const seen = (verdict: Verdict, finding: FindingName, text: string, mode?: "monitor"): Result => ({
    ...result,
    ...inForce,
    verdict,
    finding,
    text,
    notes,
    ...(mode !== undefined && { mode }),
  });
  if (moved.standInDenied) {
    const text =
      "no guard: Istio could not fetch the module, and its stand-in refuses everything (rbac.wasm-default-deny)";
    return seen("absent", "stand_in", text);
  }
  if (decisions.has("would_refuse") || decisions.has("not_read")) {
    const text = `a guard monitors: it counted that it would have refused the call of ${visible(tool)}, and let it pass`;
    return seen("monitors", "monitor", text, "monitor");
  }
  if (decisions.has("refuse")) {
    const text = `a guard enforces: the proxy counted that it refused the call of ${visible(tool)}`;
    return { ...seen("enforces", "refused_counted", text), mode: "enforce" };
  }
  if (moved.rbacDenied) {
    const text =
      "an AuthorizationPolicy of the proxy refused the call before a guard could (rbac denied): give the caller that it lets in";
    return seen("unknown", "authorization", text);
  }
  if (result.verdict === "unknown") return { ...result, notes };
  if (decisions.has("outbound")) {
    const text =
      "no guard enforces: the guard takes this listener for an outbound one; on a gateway its policy needs direction: both";
    return seen("absent", "outbound", text);
  }
  if (decisions.has("unguarded")) {
    return seen("absent", "unguarded", "no guard enforces: the policy names this path in unguarded");
  }
  if (decisions.has("allow")) {
    return seen("absent", "tool_listed", `the guard let the call pass: its policy lists ${visible(tool)}`);
  }
  if (moved.hasGuard) {
    const text = "no guard enforces: the proxy has one, and the call did not come past it";
    return seen("absent", "not_in_path", text);
  }
  return seen("absent", "no_guard", "no guard: the server itself answered, and the proxy has none");
}
