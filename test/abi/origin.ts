import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CALL_ANSWER, type Outcome, type Row, SERVER_ANSWER } from "./row.ts";

/** The header by which the server tells rows apart. */
export const ROW_HEADER = "x-row";

/** The server behind Envoy: answers each row as the row says, and keeps what it has seen of its request. */
export interface Origin {
  readonly port: number;
  seen(label: string): Outcome["server"];
  /** The HTTP calls of a row's probe that have arrived. */
  called(label: string): Outcome["called"];
  stop(): Promise<void>;
}

/** Starts the server on a free port. `rowOf` finds the row of a label. */
export async function startOrigin(rowOf: (label: string) => Row): Promise<Origin> {
  const seen = new Map<string, { body: string; ended: boolean }>();
  const called = new Map<string, string[]>();
  const server = createServer((request, response) => {
    const label = labelOf(request);
    if (request.url !== "/probe") {
      takeCall(request, response, (call) => called.set(label, [...(called.get(label) ?? []), call]));
      return;
    }
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
  // Without this the answers have a Keep-Alive header, which older Envoys show to the module and newer ones do not.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    port: (server.address() as AddressInfo).port,
    seen: (label) => seen.get(label) ?? "nothing",
    called: (label) => called.get(label)?.toSorted(),
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

/** Takes an HTTP call and makes of it what its path says, which is the name of the cluster. */
function takeCall(request: IncomingMessage, response: ServerResponse, keep: (call: string) => void): void {
  let body = "";
  request.on("data", (bytes: Buffer) => {
    body += bytes.toString();
  });
  request.on("end", () => {
    keep(`${request.method} ${request.url} ${body}`);
    const { status, headers, body: answer } = CALL_ANSWER;
    response.sendDate = false;
    switch (request.url) {
      case "/answers":
        response.writeHead(status, { ...headers, "content-length": answer.length }).end(answer);
        break;
      case "/trails":
        response.writeHead(status, { ...headers, trailer: "x-trailer" });
        response.addTrailers({ "x-trailer": "last" });
        response.end(answer);
        break;
      case "/drops":
        request.socket.destroy();
        break;
      case "/cuts":
      case "/stalls":
        response.writeHead(status, { ...headers, "content-length": answer.length + 1 });
        // The connection ends when the bytes have left.
        response.write(answer, () => {
          if (request.url === "/cuts") request.socket.end();
        });
    }
  });
  request.on("error", () => {});
}
