import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type Outcome, type Row, SERVER_ANSWER } from "./row.ts";

/** The header by which the server tells rows apart. */
export const ROW_HEADER = "x-row";

/** The server behind Envoy: answers each row as the row says, and keeps what it has seen of its request. */
export interface Origin {
  readonly port: number;
  seen(label: string): Outcome["server"];
  stop(): Promise<void>;
}

/** Starts the server on a free port. `rowOf` finds the row of a label. */
export async function startOrigin(rowOf: (label: string) => Row): Promise<Origin> {
  const seen = new Map<string, { body: string; ended: boolean }>();
  const server = createServer((request, response) => {
    const label = labelOf(request);
    const view = { body: "", ended: false };
    seen.set(label, view);
    const answer = () => {
      const { status, contentType, body } = SERVER_ANSWER;
      response.writeHead(status, { "content-type": contentType, "content-length": body.length });
      response.end(body);
    };
    request.on("data", (bytes: Buffer) => {
      view.body += bytes.toString();
    });
    request.on("end", () => {
      view.ended = true;
      if (rowOf(label).serverAnswersAt !== "headers") answer();
    });
    request.on("error", () => {});
    if (rowOf(label).serverAnswersAt === "headers") answer();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    port: (server.address() as AddressInfo).port,
    seen: (label) => seen.get(label) ?? "nothing",
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function labelOf(request: IncomingMessage): string {
  return String(request.headers[ROW_HEADER]);
}
