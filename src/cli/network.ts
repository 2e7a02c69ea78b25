// What is checked about ports and servers before anything is started.
import { lookup } from "node:dns/promises";
import { connect, createServer, isIP } from "node:net";
import { GuardError, systemErrorCode } from "../error.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const PORT_MAX = 65_535;

/** An MCP server as the user names it. */
export interface ServerUrl {
  host: string;
  port: number;
  /** The path of its MCP endpoint, `/` at least. */
  path: string;
}

/**
 * Reads a port number.
 * @param option the name of the option, for the message.
 * @throws GuardError `ERR_USAGE`.
 */
export function parsePort(text: string, option: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > PORT_MAX) {
    throw new GuardError("ERR_USAGE", `${option}=${text}: expected a port number from 1 to ${PORT_MAX}`);
  }
  return port;
}

/**
 * Reads the address of an MCP server.
 * @throws GuardError `ERR_UPSTREAM`.
 */
export function parseServerUrl(text: string): ServerUrl {
  const problem = (what: string) =>
    new GuardError("ERR_UPSTREAM", `UPSTREAM=${text}: ${what}; expected http://host:port/path`);
  if (!URL.canParse(text)) throw problem("this is no URL");
  const url = new URL(text);
  if (url.protocol !== "http:")
    throw problem(`${url.protocol} is not supported, the guard speaks plain HTTP to the server`);
  if (url.username !== "" || url.password !== "") throw problem("a user name or password has no place here");
  if (url.search !== "" || url.hash !== "") throw problem("a query or fragment has no place here");
  // An IPv6 address stands in brackets in a URL and without them everywhere else.
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { host, port: url.port === "" ? 80 : Number(url.port), path: url.pathname };
}

/**
 * Checks that a port of this machine can be listened on.
 * @throws GuardError `ERR_PORT`, naming the port and the option that changes it.
 */
export async function checkPortFree(port: number, option: string): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port, exclusive: true }, resolve);
    });
  } catch (error) {
    const why = systemErrorCode(error) === "EADDRINUSE" ? "is already in use" : `cannot be used (${String(error)})`;
    throw new GuardError("ERR_PORT", `port ${port} ${why}: choose another one with ${option}=<port>`, { cause: error });
  } finally {
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
}

/**
 * Checks that something listens at a server's address.
 * @throws GuardError `ERR_UPSTREAM`.
 */
export async function checkReachable(server: ServerUrl): Promise<void> {
  const { host, port } = server;
  if (isIP(host) === 0) {
    await lookup(host).catch((error: unknown) => {
      throw new GuardError("ERR_UPSTREAM", `UPSTREAM: there is no host named ${host}`, { cause: error });
    });
  }
  try {
    await tryConnect({ host, port });
  } catch (error) {
    const refused = systemErrorCode(error) === "ECONNREFUSED";
    const why = refused
      ? "nothing listens there (connection refused)"
      : error instanceof Error
        ? error.message
        : String(error);
    throw new GuardError("ERR_UPSTREAM", `UPSTREAM: ${host} port ${port}: ${why}`, { cause: error });
  }
}

/** Opens a connection and closes it again; rejects when that fails or takes more than 5 s. */
export function tryConnect(to: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, timeout: CONNECT_TIMEOUT_MS }, () => {
      socket.destroy();
      resolve();
    });
    socket.once("timeout", () => socket.destroy(new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`)));
    socket.once("error", reject);
  });
}
