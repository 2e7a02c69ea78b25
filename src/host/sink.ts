import type { BodyBuffer } from "./body-buffer.ts";
import { HeaderMap } from "./header-map.ts";

/** What has reached the server. */
export interface UpstreamView {
  /** Undefined until the request headers have been forwarded. */
  readonly headers: HeaderMap | undefined;
  readonly trailers: HeaderMap | undefined;
  /** The body as it arrived, chunk by chunk; empty chunks are left out. */
  readonly bodyChunks: readonly Uint8Array[];
  /** The whole body so far. */
  body(): Buffer;
  /** The server has seen the end of the request. */
  readonly ended: boolean;
  /** The request was cut: the server has seen its headers but never a complete exchange. */
  readonly reset: boolean;
}

/** What has reached the client. */
export interface DownstreamView {
  readonly status: number | undefined;
  /** Undefined until the response headers have been sent. */
  readonly headers: HeaderMap | undefined;
  readonly trailers: HeaderMap | undefined;
  body(): Buffer;
  /** The client has seen the end of the response. */
  readonly ended: boolean;
  /** The response was cut. */
  readonly reset: boolean;
}

/** One end of the stream as a peer sees it. */
export class Sink implements UpstreamView, DownstreamView {
  headers: HeaderMap | undefined;
  trailers: HeaderMap | undefined;
  readonly bodyChunks: Uint8Array[] = [];
  ended = false;
  reset = false;

  get status(): number | undefined {
    const text = this.headers?.get(":status");
    return text === undefined ? undefined : Number(text);
  }

  body(): Buffer {
    return Buffer.concat(this.bodyChunks);
  }

  append(bytes: Uint8Array): void {
    if (bytes.length > 0) this.bodyChunks.push(bytes);
  }

  /** The passing half of an iteration's ends, into this sink. Headers are copied: what was sent does not change. */
  passes(onHeaders: (headers: HeaderMap) => void, onEnd: () => void) {
    const endIf = (end: boolean) => {
      this.ended = end;
      if (end) onEnd();
    };
    return {
      passHeaders: (headers: HeaderMap, end: boolean) => {
        this.headers = new HeaderMap(headers.pairs());
        onHeaders(this.headers);
        endIf(end);
      },
      passData: (data: BodyBuffer, end: boolean) => {
        this.append(data.take());
        endIf(end);
      },
      passTrailers: (trailers: HeaderMap) => {
        this.trailers = new HeaderMap(trailers.pairs());
        endIf(true);
      },
    };
  }
}
