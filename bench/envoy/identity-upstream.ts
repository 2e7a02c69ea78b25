// The server behind the proxy and the token endpoint, in a process of their own. The server says whose token has come; the endpoint gives one that is as
// long as the one that it got, so that what goes to the server has the same length with it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { MINTED } from "./identity-seen.ts";

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("error", () => {});
  request.on("end", () => {
    const text =
      request.url === "/token" ? grant(Buffer.concat(parts).toString()) : seen(request.headers.authorization);
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
    response.end(text);
  });
});

/** RFC 8693 section 2.2.1. */
function grant(form: string): string {
  const subject = new URLSearchParams(form).get("subject_token") ?? "";
  return JSON.stringify({
    access_token: MINTED.padEnd(subject.length, "M"),
    issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
    token_type: "Bearer",
    expires_in: 7_200,
  });
}

/** Three words of one length, so that all answers are equally long. */
function seen(authorization: string | undefined): string {
  const word =
    authorization === undefined ? "nobody" : authorization.startsWith(`Bearer ${MINTED}`) ? "minted" : "caller";
  return `{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"${word}"}]}}`;
}

server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
