// The server behind the proxy, in a process of its own: it reads the whole request and answers what its path asks for.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ANSWERS } from "./inputs.ts";

const answers = new Map(
  Object.entries(ANSWERS).map(([path, { type, body }]) => [path, { type, body: Buffer.from(body) }]),
);

const server = createServer((request, response) => {
  request.resume();
  request.on("error", () => {});
  request.on("end", () => {
    const { type, body } = answers.get(request.url ?? "") ?? {
      type: "text/plain",
      body: Buffer.from("no such answer"),
    };
    response.writeHead(200, { "content-type": type, "content-length": body.length });
    response.end(body);
  });
});
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
