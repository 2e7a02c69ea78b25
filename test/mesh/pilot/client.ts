// A client in the mesh, or one that is not: it connects as it is told and says what came of it.
import { request as requestHttp } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { KeyedCertificate } from "../../integration/certificates.ts";

const TIMEOUT_MS = 5_000;
/** What Istio's proxies offer each other for HTTP/1.1: on ports that no Service names, the other side tells HTTP by it. */
const HTTP11_IN_THE_MESH = ["istio-http/1.1", "istio", "http/1.1"];

/** TLS of a client. */
export interface ClientTls {
  /** PEM; the server's certificate has to come from there. */
  readonly authority: string;
  readonly own?: KeyedCertificate;
  /** The name that is asked for in the handshake. */
  readonly serverName?: string;
}

export interface Target {
  readonly host: string;
  readonly port: number;
  /** The Unix socket of a proxy for outgoing connections: it is told where this one was going. */
  readonly through?: string;
  readonly tls?: ClientTls;
  /** Through a tunnel of HTTP/2, as the ambient mesh does it (HBONE): where it leads to, as `address:port`. */
  readonly tunnelTo?: string;
}

export interface Call {
  readonly method?: string;
  readonly path?: string;
  /** Names and values in turn, as they are sent. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/**
 * Makes one call over HTTP/1.1 on a connection of its own. `closed` when the connection ends without an answer.
 * @throws Error when nobody listens, or nothing happens for some seconds: that is no answer of the proxy's.
 */
export async function call(target: Target, what: Call = {}): Promise<Answer | "closed"> {
  const { method = "POST", path = "/", headers = [], body = "" } = what;
  const socket = await connected(target);
  if (socket === "closed") return "closed";
  const has = (name: string) => headers.some((field, index) => index % 2 === 0 && field.toLowerCase() === name);
  const needed = [
    ...(has("host") ? [] : ["host", `${target.host}:${target.port}`]),
    ...(body === "" ? [] : ["content-length", String(Buffer.byteLength(body))]),
  ];
  return new Promise((resolve, reject) => {
    const request = requestHttp({ method, path, headers: [...needed, ...headers], createConnection: () => socket });
    const timer = setTimeout(() => {
      reject(new Error(`no answer to ${method} ${path} after ${TIMEOUT_MS} ms`));
      request.destroy();
    }, TIMEOUT_MS);
    const end = (answer: Answer | "closed") => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    request.on("error", () => end("closed"));
    request.once("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", () => end("closed"));
      response.once("end", () => {
        const { statusCode: status = 0, headers } = response;
        end({ status, headers, body: Buffer.concat(parts).toString() });
      });
    });
    request.end(body);
  });
}

/** A connection that is ready for HTTP. */
async function connected(target: Target): Promise<Duplex | "closed"> {
  const { host, port, through, tls, tunnelTo } = target;
  const socket = through === undefined ? connect(port, host) : connect(through);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    // Later errors end in one of what is laid over it.
    socket.on("error", reject);
  });
  if (through !== undefined) socket.write(`PROXY TCP4 127.0.0.1 ${host} 40000 ${port}\r\n`);
  if (tls === undefined) return socket;
  const secure = connectTls({
    socket,
    ca: tls.authority,
    ALPNProtocols: tunnelTo === undefined ? HTTP11_IN_THE_MESH : ["h2"],
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
    ...(tls.own && { cert: tls.own.certificate, key: tls.own.key }),
    // In TLS 1.3 a client is ready before the server has looked at its certificate. Tunnels need it, and show a refusal by their end.
    ...(tunnelTo === undefined && { maxVersion: "TLSv1.2" }),
    // Who issued the certificate is all that counts here: those of workloads have no name of DNS.
    checkServerIdentity: () => undefined,
  });
  const result = await new Promise<TLSSocket | "closed">((resolve, reject) => {
    secure.setTimeout(TIMEOUT_MS, () => reject(new Error(`no TLS with ${host}:${port} after ${TIMEOUT_MS} ms`)));
    secure.once("secureConnect", () => resolve(secure));
    secure.on("error", () => resolve("closed"));
    secure.once("close", () => resolve("closed"));
  });
  return result === "closed" || tunnelTo === undefined ? result : tunnel(result, tunnelTo);
}

/** A stream through a CONNECT of HTTP/2. */
function tunnel(socket: TLSSocket, to: string): Promise<Duplex | "closed"> {
  const session: ClientHttp2Session = connectHttp2("https://tunnel", { createConnection: () => socket });
  return new Promise((resolve) => {
    session.on("error", () => resolve("closed"));
    session.once("close", () => resolve("closed"));
    const stream = session.request({ ":method": "CONNECT", ":authority": to });
    stream.on("error", () => resolve("closed"));
    stream.once("close", () => session.close());
    // Node writes the beginning of a request as text, and a stream of HTTP/2 spoils text that is written together with bytes.
    const bytes = Duplex.from({ readable: stream, writable: stream });
    bytes.on("error", () => resolve("closed"));
    stream.once("response", ({ ":status": status }) => resolve(status === 200 ? bytes : "closed"));
  });
}
