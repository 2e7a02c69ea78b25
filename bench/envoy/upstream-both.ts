// Node's servers, HTTP/1.1 and HTTP/2: they read each request to its end and answer.
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";

const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{}}';

const h1 = createServer((request, response) => {
  request.on("error", () => {});
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(ANSWER);
  });
});
const h2 = createHttp2Server((request, response) => {
  request.on("error", () => {});
  response.on("error", () => {});
  request.resume().on("end", () => {
    if (response.stream?.destroyed ?? true) return;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(ANSWER);
  });
});
const listening = [h1, h2].map(
  (server) =>
    new Promise<number>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
    ),
);
const [http1, http2] = await Promise.all(listening);
process.send?.({ h1: http1, h2: http2 });
process.on("disconnect", () => process.exit());
