import { BodyBuffer } from "./body-buffer.ts";
import type { HeaderMap } from "./header-map.ts";

/** What a filter's headers callback asks for, in Envoy's words. */
export type HeadersStatus = "continue" | "stop" | "stopAllBuffer" | "stopAllWatermark";
/** What a filter's body callback asks for: returns 0, 1, 2 and 3. */
export type DataStatus = "continue" | "stopBuffer" | "stopWatermark" | "stopNoBuffer";
export type TrailersStatus = "continue" | "stop";

/** The two neighbours of an iteration: the filter that it calls, and what comes after that filter. */
export interface IterationEnds {
  filterHeaders(headers: HeaderMap, endOfStream: boolean): HeadersStatus;
  filterData(data: BodyBuffer, endOfStream: boolean): DataStatus;
  filterTrailers(trailers: HeaderMap): TrailersStatus;
  passHeaders(headers: HeaderMap, endOfStream: boolean): void;
  /** Takes the bytes out of `data`. */
  passData(data: BodyBuffer, endOfStream: boolean): void;
  passTrailers(trailers: HeaderMap): void;
  /**
   * What is held has grown beyond the limit. `streaming`: the filter returned 2 (or stopped everything at the
   * headers), so reading stops; otherwise the answer is an error.
   */
  overLimit(streaming: boolean): void;
  /** What is held has fallen to half of the limit. */
  belowLimit(): void;
  /** The filter sent a local reply from its callback: it is due now. */
  aborted(): void;
}

/**
 * One direction of one stream through a filter chain that has this one filter before its end: Envoy's
 * `FilterManager::decode*` / `encode*` with `ActiveStreamFilterBase::common*`, measured on 1.37.0 to 1.40.0.
 */
export class Iteration {
  readonly #ends: IterationEnds;
  readonly #limitBytes: number;
  #state: "continue" | "stopSingle" | "stopAllBuffer" | "stopAllWatermark" = "continue";
  #headers: HeaderMap | undefined;
  #headersContinued = false;
  #held: BodyBuffer | undefined;
  #trailers: HeaderMap | undefined;
  /** The end of the message has arrived, by any kind of frame. */
  #endObserved = false;
  /** The filter has seen the end: nothing more is for it. */
  #filterSawEnd = false;
  /** The last body callback returned 1: the next one is given everything that is held. */
  #buffering = false;
  #streaming = false;
  #overLimit = false;
  #fromCurrentFilter = false;

  /** True while one of the filter's callbacks runs. */
  inCallback = false;
  /** Set when the filter chain must not be called any more in this direction. */
  stopped = false;

  constructor(ends: IterationEnds, limitBytes: number) {
    this.#ends = ends;
    this.#limitBytes = limitBytes;
  }

  /** What a body callback that returned 1 can still reach between two calls; undefined for all other returns. */
  get heldWhileBuffering(): BodyBuffer | undefined {
    return this.#buffering ? this.#held : undefined;
  }

  /** Bytes that wait for the filter. */
  get heldBytes(): number {
    return this.#held?.length ?? 0;
  }

  headers(headers: HeaderMap, endOfStream: boolean): void {
    this.#headers = headers;
    this.#endObserved = endOfStream;
    if (this.stopped) return;
    this.#filterSawEnd = endOfStream;
    const status = this.#call(() => this.#ends.filterHeaders(headers, endOfStream));
    if (this.#abortedNow()) return;
    if (status !== "continue") {
      this.#state = status === "stop" ? "stopSingle" : status;
      return;
    }
    this.#headersContinued = true;
    this.#ends.passHeaders(headers, endOfStream);
  }

  data(data: BodyBuffer, endOfStream: boolean): void {
    this.#endObserved = endOfStream;
    this.#data(data, endOfStream, true);
  }

  trailers(trailers: HeaderMap): void {
    this.#trailers = trailers;
    this.#endObserved = true;
    this.#trailersThroughFilter(trailers, true);
  }

  /** `continueDecoding` / `continueEncoding`. */
  resume(): void {
    if (this.stopped) return;
    // Only ever set here: a resume inside of another one, from a trailers callback, goes through the filter like that one. Then the
    // body that is held is lost, because the filter has seen the end (Envoy 1.37.0 and 1.40.0).
    if (this.#stoppedAll()) this.#fromCurrentFilter = true;
    this.#state = "continue";
    const trailers = this.#trailers;
    if (!this.#headersContinued && this.#headers !== undefined) {
      this.#headersContinued = true;
      this.#ends.passHeaders(this.#headers, this.#endObserved && this.#held === undefined && trailers === undefined);
    }
    if (this.#held !== undefined) {
      this.#data(this.#held, this.#endObserved && trailers === undefined, this.#fromCurrentFilter);
    }
    if (trailers !== undefined) this.#trailersThroughFilter(trailers, this.#fromCurrentFilter);
    this.#fromCurrentFilter = false;
  }

  #data(data: BodyBuffer, endOfStream: boolean, throughFilter: boolean): void {
    if (this.stopped) return;
    if (throughFilter) {
      if (this.#stoppedAll()) {
        this.#streaming = this.#state === "stopAllWatermark";
        this.#hold(data);
        return;
      }
      if (this.#filterSawEnd) return;
      this.#filterSawEnd = endOfStream;
      const status = this.#call(() => this.#callData(data, endOfStream));
      if (this.#abortedNow()) return;
      if (!this.#afterData(status, data)) return;
    }
    this.#ends.passData(data, endOfStream);
    this.#checkBelowLimit();
    // Nothing is left of what was held once it has been passed on.
    if (data === this.#held) this.#held = undefined;
  }

  #callData(data: BodyBuffer, endOfStream: boolean): DataStatus {
    if (this.#buffering) {
      // Envoy adds the new bytes to what is held before it calls the module, which may exceed the limit right here.
      this.#streaming = false;
      this.#hold(data);
    }
    const status = this.#ends.filterData(this.#buffering ? this.#held! : data, endOfStream);
    this.#buffering = status === "stopBuffer";
    return status;
  }

  /** `commonHandleAfterDataCallback`; true when the data goes on. */
  #afterData(status: DataStatus, data: BodyBuffer): boolean {
    if (status === "continue") {
      if (this.#state !== "stopSingle") return true;
      this.#hold(data);
      this.resume();
      return false;
    }
    this.#state = "stopSingle";
    if (status === "stopNoBuffer") {
      // The data is gone. An empty buffer lets a later resume still send the end of the message.
      data.take();
      if (this.#endObserved) this.#held ??= new BodyBuffer();
      return false;
    }
    this.#streaming = status === "stopWatermark";
    this.#hold(data);
    return false;
  }

  #trailersThroughFilter(trailers: HeaderMap, throughFilter: boolean): void {
    if (this.stopped) return;
    if (throughFilter) {
      if (this.#stoppedAll()) return;
      const status = this.#call(() => this.#ends.filterTrailers(trailers));
      this.#filterSawEnd = true;
      if (this.#abortedNow()) return;
      if (status === "stop") {
        this.#state = "stopSingle";
        return;
      }
      if (this.#state === "stopSingle") {
        this.resume();
        return;
      }
    }
    this.#ends.passTrailers(trailers);
  }

  #hold(data: BodyBuffer): void {
    if (data === this.#held) return;
    this.#held ??= new BodyBuffer();
    this.#held.moveFrom(data);
    // Envoy compares with "greater than", and tells once per crossing.
    if (this.#overLimit || this.#held.length <= this.#limitBytes) return;
    this.#overLimit = true;
    this.#ends.overLimit(this.#streaming);
  }

  #checkBelowLimit(): void {
    if (!this.#overLimit || (this.#held?.length ?? 0) > this.#limitBytes / 2) return;
    this.#overLimit = false;
    this.#ends.belowLimit();
  }

  #stoppedAll(): boolean {
    return this.#state === "stopAllBuffer" || this.#state === "stopAllWatermark";
  }

  #call<T>(callback: () => T): T {
    this.inCallback = true;
    try {
      return callback();
    } finally {
      this.inCallback = false;
    }
  }

  #abortedNow(): boolean {
    if (this.stopped) this.#ends.aborted();
    return this.stopped;
  }
}
