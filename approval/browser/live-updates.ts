// Tells open pages what has happened. One look at the history per second serves all pages of a process, whichever replica wrote it.
import type { FastifyBaseLogger } from "fastify";
import { standingOf } from "./approver.ts";
import type { BrowserContext } from "./context.ts";
import type { BrowserSession } from "./session.ts";

const POLL_MS = 1_000;
/** At most so many entries at one look; the next one comes a second later. */
const ENTRIES_MAX = 500;
/** Looks between two at whether the session is still there, which are also those between two signs of life: proxies cut what is silent. */
const LOOKS_PER_CHECK = 15;
/** Then the browser connects again, with its cookie: a page that is left open keeps nobody signed in. */
const STREAM_MS = 10 * 60_000;
/** A browser that does not read is let go. */
const UNREAD_BYTES_MAX = 64 << 10;
/** Of one session. Browsers themselves have six connections for all pages without HTTP/2. */
const STREAMS_PER_SESSION = 4;
const STREAMS_MAX = 2_000;

/** Where events go: the response of one request. */
export interface Sink {
  write(text: string): boolean;
  end(): void;
  readonly writableLength: number;
}

interface Listener {
  readonly session: BrowserSession;
  readonly sink: Sink;
  readonly until: number;
}

/** The open streams of a process. */
export class LiveUpdates {
  readonly #context: BrowserContext;
  readonly #log: FastifyBaseLogger;
  readonly #pollMs: number;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  /** The last entry that was sent; undefined while nobody listens. */
  #sequence: number | undefined;
  #looks = 0;
  #isLooking = false;
  #isClosed = false;

  /** @param pollMs how long from one look to the next */
  constructor(context: BrowserContext, log: FastifyBaseLogger, pollMs = POLL_MS) {
    this.#context = context;
    this.#log = log;
    this.#pollMs = pollMs;
  }

  /** Whether one more stream of this session may be opened. */
  hasRoomFor({ idHash }: BrowserSession): boolean {
    const own = [...this.#listeners].filter(({ session }) => session.idHash === idHash);
    return own.length < STREAMS_PER_SESSION && this.#listeners.size < STREAMS_MAX;
  }

  /**
   * Begins to send what happens from now on to approvals that the session may see.
   * @returns what ends it.
   */
  async add(session: BrowserSession, sink: Sink): Promise<() => void> {
    const listener: Listener = { session, sink, until: this.#context.clock() + STREAM_MS };
    // The service is ending: a stream that began now would keep it from that.
    if (this.#isClosed) {
      sink.end();
      return () => {};
    }
    // Counted before anything is waited for, so that many at once do not slip through together.
    this.#listeners.add(listener);
    try {
      this.#timer ??= setInterval(() => void this.#look(), this.#pollMs).unref();
      await this.#begin();
    } catch (error) {
      this.#remove(listener);
      throw error;
    }
    return () => this.#remove(listener);
  }

  /** Ends all streams. */
  close(): void {
    this.#isClosed = true;
    for (const listener of this.#listeners) this.#end(listener);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#sendNews();
      this.#looks++;
      if (this.#looks % LOOKS_PER_CHECK === 0) await this.#checkListeners();
    } catch (error) {
      // The pages say nothing wrong, they only learn of things later.
      this.#log.warn({ err: error }, "live updates could not be read");
    } finally {
      this.#isLooking = false;
    }
  }

  /** Nothing that was before is news. */
  async #begin(): Promise<number> {
    const last = this.#sequence ?? (await this.#context.store.lastSequence());
    // Two may have begun at once.
    this.#sequence ??= last;
    return this.#sequence;
  }

  async #sendNews(): Promise<void> {
    const { store, settings } = this.#context;
    const entries = await store.historyAfter(await this.#begin(), ENTRIES_MAX);
    for (const { sequence, approvalId, event } of entries) {
      const approval = await store.approval(approvalId);
      const text = `event: approval\ndata: ${JSON.stringify({ id: approvalId, event })}\n\n`;
      for (const listener of this.#listeners) {
        // What somebody may not see does not exist for them, not even as an id.
        if (approval !== undefined && standingOf(approval, listener.session, settings) !== "none") {
          this.#send(listener, text);
        }
      }
      this.#sequence = sequence;
    }
  }

  async #checkListeners(): Promise<void> {
    const { store, clock } = this.#context;
    for (const listener of this.#listeners) {
      const session = listener.until > clock() ? await store.session(listener.session.idHash) : undefined;
      if (session === undefined) this.#end(listener);
      else this.#send(listener, ": still here\n\n");
    }
  }

  #send(listener: Listener, text: string): void {
    listener.sink.write(text);
    if (listener.sink.writableLength > UNREAD_BYTES_MAX) this.#end(listener);
  }

  #end(listener: Listener): void {
    listener.sink.end();
    this.#remove(listener);
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#sequence = undefined;
  }
}
