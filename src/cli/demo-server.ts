// The real MCP server that stands behind the guard when the user names none.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Child, startChild } from "../child.ts";
import { lastLines } from "../envoy/process.ts";
import { GuardError } from "../error.ts";
import { tryConnect } from "./network.ts";

const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 50;

/** A running demonstration server. */
export interface DemoServer {
  /** The package that it comes from. */
  readonly name: string;
  /** The Unix socket that it listens on. */
  readonly socketPath: string;
  /** The path of its MCP endpoint. */
  readonly path: string;
  readonly exited: Child["exited"];
  /** The end of what it printed. */
  lastOutput(): string;
  stop(): Promise<void>;
}

/**
 * Starts `@modelcontextprotocol/server-everything` with its streamable HTTP transport.
 * @throws GuardError `ERR_UPSTREAM` with what it printed when it does not come up. Nothing is left running then.
 */
export async function startDemoServer(signal: AbortSignal): Promise<DemoServer> {
  const name = "@modelcontextprotocol/server-everything";
  const program = path.join(
    path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)),
    "dist/index.js",
  );
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-server-"));
  // Given a TCP port the server listens on every interface, where anybody could walk around the guard. Node takes a PORT
  // that is a path for a Unix socket: it lies in a folder of ours that nobody else can enter, and no port can be taken.
  const socketPath = path.join(folder, "mcp.sock");
  const outputFile = path.join(folder, "output.log");
  const output = openSync(outputFile, "a");
  const child = await startChild(process.execPath, [program, "streamableHttp"], {
    stdio: ["ignore", output, output],
    // One of its tools prints its environment: it gets none of the user's.
    env: { PORT: socketPath },
    ownFolder: folder,
  });
  closeSync(output);
  const lastOutput = () => lastLines(readFileSync(outputFile, "utf8"));
  const stop = async () => {
    await child.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await answers(socketPath))) {
    if (signal.aborted || !child.running() || performance.now() > deadline) {
      const text = lastOutput();
      await stop();
      signal.throwIfAborted();
      throw new GuardError("ERR_UPSTREAM", `${name} did not start; its last lines:\n${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, START_POLL_MS));
  }
  return { name, socketPath, path: "/mcp", exited: child.exited, lastOutput, stop };
}

async function answers(socketPath: string): Promise<boolean> {
  return tryConnect({ path: socketPath }).then(
    () => true,
    () => false,
  );
}
