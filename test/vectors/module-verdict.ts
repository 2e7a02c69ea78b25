// The compiled filter's verdict on one HTTP request, from the Node host. A policy is started once; its streams are short.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type HeaderPair, type Plugin, Vm } from "../../src/host/index.ts";
import { HOST_DEFAULT, type HttpRequest, type RequestPolicy } from "../oracle/exchange.ts";

const MODULE = new Uint8Array(readFileSync(fileURLToPath(new URL("../../build/plugin.wasm", import.meta.url))));

export interface ModuleVerdict {
  readonly verdict: "allow" | "refuse";
  /** The name after `mcp_guard.` in the response code details; empty when it passes. */
  readonly reason: string;
  /** HTTP status of the refusal; 0 when it passes. */
  readonly status: number;
}

/** One VM with one configuration. */
export class GuardModule {
  readonly #vm = Vm.load(MODULE);
  readonly #plugin: Plugin;

  /** @throws Error with the filter's own words when it refuses the configuration. */
  constructor(policy: RequestPolicy) {
    this.#plugin = this.#vm.startPlugin(JSON.stringify(policy));
    if (!this.#plugin.accepted) throw new Error(this.#vm.logs.map(({ message }) => message).join("\n"));
  }

  /** The verdict on a request whose body comes in the pieces that `cut` makes of it; by default as its framing says. */
  judge(request: HttpRequest, cut: (body: Uint8Array) => readonly Uint8Array[] = piecesOf(request)): ModuleVerdict {
    const { framing = "length", body, trailers } = request;
    const stream = this.#plugin.openStream();
    const isBodiless = framing === "headers_only" || (body.length === 0 && framing === "length" && !trailers);
    stream.requestHeaders(headersOf(request), isBodiless);
    if (!isBodiless) {
      for (const piece of cut(body)) stream.requestBody(piece, false);
      if (trailers === undefined) stream.requestEnd();
      else stream.requestTrailers(trailers);
    }
    const passed = stream.upstream.ended;
    const [, reason = ""] = /^mcp_guard\.(.*)$/.exec(stream.codeDetails ?? "") ?? [];
    const status = stream.localReply === undefined ? 0 : stream.responseCode;
    stream.finish();
    this.#vm.logs.length = 0;
    if (this.#vm.failed) throw this.#vm.failure;
    if (passed === (reason !== "")) throw new Error(`passed: ${passed}, but the reason is ${JSON.stringify(reason)}`);
    return { verdict: passed ? "allow" : "refuse", reason, status };
  }
}

const guards = new Map<string, GuardModule>();

/** The module under this policy; the same one for the same policy. */
export function guardModule(policy: RequestPolicy): GuardModule {
  const key = JSON.stringify(policy);
  const known = guards.get(key) ?? new GuardModule(policy);
  guards.set(key, known);
  return known;
}

const piecesOf =
  ({ framing = "length" }: HttpRequest) =>
  (body: Uint8Array): readonly Uint8Array[] =>
    framing === "bytes" ? Array.from(body, (_, index) => body.subarray(index, index + 1)) : [body];

function headersOf({ method, path, headers, body, framing = "length" }: HttpRequest): readonly HeaderPair[] {
  const lower = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  const [, host = HOST_DEFAULT] = lower.find(([name]) => name === "host") ?? [];
  const hasLength = framing === "length" && body.length > 0 && !lower.some(([name]) => name === "content-length");
  return [
    [":method", method],
    [":path", path],
    [":scheme", "http"],
    [":authority", host],
    ...(hasLength ? [["content-length", String(body.length)] as const] : []),
    ...lower.filter(([name]) => name !== "host"),
  ];
}
