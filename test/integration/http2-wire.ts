// The raw HTTP/2 client, over cleartext with prior knowledge (RFC 9113) or over TLS: it decides what stands in which frame,
// and sends header fields that node:http2 refuses to send, for example two Content-Types.
import { HeaderDecoder, literalFields } from "./hpack.ts";
import type { Answer, ClientTls, Fields, WireConnection, WireHead, WireRequest } from "./wire.ts";
import { HOST_DEFAULT, openSocket } from "./wire.ts";

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
const SETTING = { headerTableSize: 1, enablePush: 2, initialWindowSize: 4 } as const;
const FRAME_BYTES_MAX = 16_384;
const WINDOW_BYTES_DEFAULT = 65_535;
const WINDOW_BYTES_MAX = 2 ** 31 - 1;
const ERROR_CANCEL = 8;

/**
 * Connects to `http://host:port`, with `tls` over TLS, and waits for the other side's settings, so that its windows are known.
 * @throws Error when the TLS handshake fails.
 */
export async function connectHttp2(url: string, tls?: ClientTls): Promise<WireConnection> {
  const socket = await openSocket(url, tls, "h2");
  const scheme = tls === undefined ? "http" : "https";
  const decoder = new HeaderDecoder();
  const streams = new Map<number, Stream>();
  const write = (...frame: Parameters<typeof frameBytes>) => socket.write(frameBytes(...frame));
  let nextId = 1;
  let isClosed = false;
  let connectionWindow = WINDOW_BYTES_DEFAULT;
  let streamWindow = WINDOW_BYTES_DEFAULT;
  let received = Buffer.alloc(0);
  let settled = () => {};
  const settings = new Promise<void>((resolve) => {
    settled = resolve;
  });

  /** Sends what the windows allow (RFC 9113 section 5.2). */
  const flush = (stream: Stream) => {
    for (let frame = stream.queue[0]; frame !== undefined; frame = stream.queue[0]) {
      const window = frame.type === FRAME.data ? Math.min(connectionWindow, stream.window) : Number.POSITIVE_INFINITY;
      const bytes = Math.min(frame.payload.length, window);
      if (bytes < frame.payload.length && bytes <= 0) return;
      const isWhole = bytes === frame.payload.length;
      write(frame.type, isWhole ? frame.flags : 0, stream.id, frame.payload.subarray(0, bytes));
      if (frame.type === FRAME.data) {
        connectionWindow -= bytes;
        stream.window -= bytes;
      }
      if (isWhole) stream.queue.shift();
      else frame.payload = frame.payload.subarray(bytes);
    }
  };
  const finish = (stream: Stream, isCut: boolean) => {
    stream.isCut = isCut;
    stream.settle(answerOf(stream));
  };
  const onFrame = (type: number, flags: number, id: number, payload: Buffer) => {
    const stream = streams.get(id);
    if (type === FRAME.settings && (flags & FLAG.ack) === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        if (payload.readUInt16BE(at) === SETTING.initialWindowSize) streamWindow = payload.readUInt32BE(at + 2);
      }
      write(FRAME.settings, FLAG.ack, 0);
      settled();
    } else if (type === FRAME.ping && (flags & FLAG.ack) === 0) {
      write(FRAME.ping, FLAG.ack, 0, payload);
    } else if (type === FRAME.windowUpdate) {
      const bytes = payload.readUInt32BE(0);
      if (id === 0) connectionWindow += bytes;
      else if (stream !== undefined) stream.window += bytes;
      for (const one of streams.values()) flush(one);
    } else if (type === FRAME.headers && stream !== undefined) {
      const fields = decoder.decode(payload);
      // A second block holds the trailers; a block of 100 is followed by the response's own.
      const isInformational = fields.some(([name, value]) => name === ":status" && value.startsWith("1"));
      if (stream.headers === undefined) stream.headers = isInformational ? undefined : fields;
      else stream.trailers = fields;
      if (flags & FLAG.endStream) finish(stream, false);
    } else if (type === FRAME.data && stream !== undefined) {
      stream.body.push(payload);
      if (flags & FLAG.endStream) finish(stream, false);
    } else if (type === FRAME.reset && stream !== undefined) {
      stream.queue.length = 0;
      finish(stream, true);
    }
  };
  socket.on("data", (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      const end = 9 + received.readUIntBE(0, 3);
      onFrame(received[3]!, received[4]!, received.readUInt32BE(5), received.subarray(9, end));
      received = received.subarray(end);
    }
  });
  socket.on("close", () => {
    isClosed = true;
    settled();
    for (const stream of streams.values()) finish(stream, true);
  });

  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  write(
    FRAME.settings,
    0,
    0,
    settingsPayload([
      // No table, no state: each block of fields can be read by itself (RFC 7541 section 4.2).
      [SETTING.headerTableSize, 0],
      [SETTING.enablePush, 0],
      [SETTING.initialWindowSize, WINDOW_BYTES_MAX],
    ]),
  );
  write(FRAME.windowUpdate, 0, 0, uint32(WINDOW_BYTES_MAX - WINDOW_BYTES_DEFAULT));
  await settings;
  // For the client the handshake was over when the server refused its certificate.
  if (tls !== undefined && isClosed)
    throw socket.errored ?? new Error("the connection was closed in the TLS handshake");

  return {
    open(head) {
      const stream: Stream = {
        id: nextId,
        window: streamWindow,
        queue: [],
        headers: undefined,
        trailers: [],
        body: [],
        isCut: undefined,
        settle: () => {},
      };
      nextId += 2;
      streams.set(stream.id, stream);
      const answer = new Promise<Answer | undefined>((settle) => {
        stream.settle = settle;
      });
      const endsHere = head.framing === "none" ? FLAG.endStream : 0;
      write(FRAME.headers, FLAG.endHeaders | endsHere, stream.id, literalFields(headFields(head, scheme)));
      if (isClosed) finish(stream, true);
      const data = (bytes: Uint8Array, flags: number) => {
        if (isClosed || stream.isCut !== undefined) return;
        stream.queue.push({ type: FRAME.data, flags, payload: bytes });
        flush(stream);
      };
      const send = (bytes: Uint8Array) => {
        for (let at = 0; at < bytes.length; at += FRAME_BYTES_MAX) data(bytes.subarray(at, at + FRAME_BYTES_MAX), 0);
      };
      return {
        send,
        end(last = new Uint8Array()) {
          const tail = Math.max(0, Math.ceil(last.length / FRAME_BYTES_MAX) - 1) * FRAME_BYTES_MAX;
          send(last.subarray(0, tail));
          data(last.subarray(tail), FLAG.endStream);
        },
        trailers(fields) {
          stream.queue.push({
            type: FRAME.headers,
            flags: FLAG.endHeaders | FLAG.endStream,
            payload: literalFields(fields),
          });
          flush(stream);
        },
        disconnect() {
          write(FRAME.reset, 0, stream.id, uint32(ERROR_CANCEL));
          stream.queue.length = 0;
          finish(stream, true);
        },
        soFar: () => answerOf(stream),
        answer,
      } satisfies WireRequest;
    },
    isClosed: () => isClosed,
    close: () => socket.destroy(),
  };
}

interface Frame {
  readonly type: number;
  readonly flags: number;
  payload: Uint8Array;
}

interface Stream {
  readonly id: number;
  window: number;
  readonly queue: Frame[];
  headers: Fields | undefined;
  trailers: Fields;
  readonly body: Buffer[];
  isCut: boolean | undefined;
  settle: (answer: Answer | undefined) => void;
}

function answerOf(stream: Stream): Answer | undefined {
  if (stream.headers === undefined) return undefined;
  const { headers: fields, trailers } = stream;
  const headers = new Map(fields);
  const status = Number(headers.get(":status"));
  return { status, headers, fields, body: Buffer.concat(stream.body), trailers, isCut: stream.isCut ?? false };
}

/** RFC 9113 section 8.3.1; of CONNECT section 8.5. Pseudo-header fields among the given ones come first; a host is `:authority`. */
function headFields(head: WireHead, scheme: string): Fields {
  const declares = head.headers.some(([name]) => name.toLowerCase() === "content-length");
  const given = head.headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  const isHost = ([name]: readonly [string, string]) => name === "host";
  const own: Fields = [
    [":method", head.method],
    [":authority", given.find(isHost)?.[1] ?? HOST_DEFAULT],
    ...(head.path === ""
      ? []
      : ([
          [":scheme", scheme],
          [":path", head.path],
        ] as const)),
  ];
  const length: Fields =
    head.framing === "length" && !declares ? [["content-length", String(head.bodyBytes ?? 0)]] : [];
  const isPseudo = ([name]: readonly [string, string]) => name.startsWith(":");
  return [...own, ...given.filter(isPseudo), ...given.filter((field) => !isPseudo(field) && !isHost(field)), ...length];
}

function frameBytes(type: number, flags: number, id: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

function settingsPayload(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  return Buffer.concat(settings.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)])));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
