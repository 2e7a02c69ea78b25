import type { BodyBuffer } from "./body-buffer.ts";
import type { HeaderMap } from "./header-map.ts";
import type { HttpCallRequest } from "./http-call.ts";
import type { LocalReply } from "./local-reply.ts";
import type { PropertyValue } from "./properties.ts";
import type { Status } from "./status.ts";

/** A buffer that a module may name: a body in transit, which can be written, or read-only configuration bytes. */
export type NamedBuffer = BodyBuffer | Uint8Array;

/** What host calls need from the context on whose behalf they run: the VM's own, a plugin's root, or a stream. */
export interface Context {
  readonly id: number;
  /** True while `proxy_on_log` runs: then a header map that does not exist is NotFound instead of BadArgument. */
  readonly inAccessLog: boolean;
  /** `writing` false is Envoy's `getConstMap`, true its `getMap`: they differ while the access log is written. */
  headerMap(id: number, writing: boolean): HeaderMap | undefined;
  buffer(id: number): NamedBuffer | undefined;
  property(path: readonly string[]): PropertyValue | undefined;
  setProperty(name: string, value: Uint8Array): Status;
  continueStream(type: number): Status;
  closeStream(type: number): Status;
  sendLocalReply(reply: LocalReply): void;
  /** A call belongs to the root context, whoever makes it. A refused one has token 0. */
  httpCall(request: HttpCallRequest): { readonly status: Status; readonly token: number };
  /** Zero stops the timer of the root context that this context belongs to. */
  setTickPeriod(milliseconds: number): void;
  /** `proxy_done`: the module has finished after its on_done returned 0. */
  done(): Status;
}
