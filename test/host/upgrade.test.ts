// An upgraded connection carries bytes in both directions past every rule, so every request that asks for one is refused
// at its headers (RFC 9110 section 7.8, RFC 8441 section 4).

import { expect, test } from "vitest";
import type { HeaderPair } from "../../src/host/index.ts";
import { JSON_HEADERS, open, post, startGuard, toolCall, verdict } from "./guard.ts";

const { plugin } = startGuard({ tool_allowlist: ["safe"], unguarded: [{ methods: ["POST", "GET"], path: "/free" }] });

const UPGRADES: Readonly<Record<string, readonly HeaderPair[]>> = {
  "an Upgrade header": [["upgrade", "websocket"]],
  "an empty Upgrade header": [["upgrade", ""]],
  "Connection: upgrade": [["connection", "upgrade"]],
  "Connection: Upgrade": [["connection", "Upgrade"]],
  "Connection: UPGRADE": [["connection", "UPGRADE"]],
  "upgrade first in a list": [["connection", "upgrade, keep-alive"]],
  "upgrade last in a list": [["connection", "keep-alive,Upgrade"]],
  "upgrade among blanks": [["connection", "keep-alive ,\t upgrade \t,x"]],
  "upgrade behind empty elements": [["connection", ",, ,upgrade"]],
  "upgrade in a second header": [
    ["connection", "keep-alive"],
    ["connection", "upgrade"],
  ],
  ":protocol": [[":protocol", "websocket"]],
};

test.each(Object.entries(UPGRADES))("%s is refused", (_name, headers) => {
  for (const method of ["GET", "POST"]) {
    for (const path of ["/mcp", "/free"]) {
      const request = open(plugin, { method, path, headers: [...JSON_HEADERS, ...headers] });
      expect([verdict(request), request.upstream.headers]).toEqual(["refuse http_upgrade 400", undefined]);
    }
  }
});

test("CONNECT is refused, with a body and without", () => {
  for (const end of ["headers", "separate"] as const) {
    const request = open(plugin, { method: "CONNECT", end });
    expect([verdict(request), request.upstream.headers]).toEqual(["refuse http_upgrade 400", undefined]);
  }
});

test.each(["keep-alive", "close", "upgraded", "x-upgrade", "up grade", "keep-alive, te", ""])(
  "Connection: %s is no upgrade",
  (connection) => {
    const body = toolCall("safe");
    expect(post(plugin, { body, headers: [...JSON_HEADERS, ["connection", connection]] })).toBe("allow");
  },
);
