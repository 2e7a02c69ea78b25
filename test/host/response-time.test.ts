// Time grows with a response's size and no faster, for each family of bodies that is built to make a rewriter slow: one that
// holds, moves or compares again what it already has.

import { describe, expect, test } from "vitest";
import { HOSTILE_FAMILIES } from "../generators/hostile.ts";
import { answer, frame, RESPONSE_POLICY, serverCall } from "../vectors/responses-vector.ts";
import { type Guard, JSON_HEADERS, pieces, send, startGuard } from "./guard.ts";
import { expectLinear, SIZES } from "./linear.ts";

const LIST_REQUEST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const NAMES = Array.from({ length: 4000 }, (_, index) => `tool_${index}`);
/** Bounds that let the families work instead of being refused at the first cap. */
const POLICY = {
  ...RESPONSE_POLICY,
  tool_allowlist: ["safe", ...NAMES],
  limits: { members_per_object: 16_384, open_members: 65_536, key_bytes: 1024, list_bytes: 65_536 },
};

/** As many of `part(index)` as there are in `bytes` bytes, joined by commas. */
function list(bytes: number, part: (index: number) => string): string {
  const parts: string[] = [];
  for (let room = bytes; room > 0; room -= Buffer.byteLength(parts.at(-1)!) + 1) parts.push(part(parts.length));
  return parts.join(",");
}

const repeated = (bytes: number, text: string): string => text.repeat(bytes / Buffer.byteLength(text));
const tool = (name: string, more = ""): string => `{"name":"${name}"${more}}`;

const FAMILIES: Readonly<Record<string, (bytes: number) => string>> = {
  "tools that go": (bytes) => answer(`{"tools":[${list(bytes, () => tool("evil"))}]}`),
  "tools that stay": (bytes) => answer(`{"tools":[${list(bytes, (index) => tool(NAMES[index % 4000]!))}]}`),
  "tools that stay, with as much as there is room": (bytes) =>
    answer(`{"tools":[${list(bytes, (index) => tool(NAMES[index]!, `,"x":"${"w".repeat(1000)}"`))}]}`),
  "a tool and one of the same name by turns": (bytes) =>
    answer(`{"tools":[${list(bytes, (index) => tool(NAMES[(index >> 1) % 4000]!))}]}`),
  "tools that show at their end that they go": (bytes) =>
    answer(`{"tools":[${list(bytes, () => `{"x":"${"w".repeat(1000)}","name":"evil"}`)}]}`),
  "a block of many icons": (bytes) =>
    answer(`{"content":[{"type":"text","icons":[${list(bytes, () => '{"src":"data:,"}')}]}]}`),
  "hidden characters": (bytes) =>
    answer(`{"tools":[${list(bytes, (index) => tool(NAMES[index]!, `,"x":"${"a\u200b".repeat(200)}"`))}]}`),
  "hidden characters in instructions": (bytes) => answer(`{"instructions":"${repeated(bytes / 8, "\u200b")}"}`),
  "empty lists": (bytes) => `[${list(bytes, () => '{"result":{"tools":[]}}')}]`,
  "many messages in a list": (bytes) => `[${list(bytes, () => answer("{}"))}]`,
  "many calls in a list that go": (bytes) => `[${list(bytes, () => serverCall("sampling/createMessage", "{}"))}]`,
  "many short texts": (bytes) => repeated(bytes, "1\n"),
  "many messages, one after the other": (bytes) => repeated(bytes, answer("{}")),
  contents: (bytes) => answer(`{"contents":[${list(bytes, () => '{"uri":"file:///docs/a","text":"t"}')}]}`),
  "links that go": (bytes) =>
    answer(`{"content":[${list(bytes, () => '{"type":"resource_link","uri":"http://evil/"}')}]}`),
  "input requests": (bytes) =>
    answer(
      `{"inputRequests":{${list(bytes / 2, (index) => `"${index}":{"method":"sampling/createMessage","params":{}}`)}}}`,
    ),
  values: (bytes) => answer(`{"completion":{"values":[${list(bytes, () => '"%25%25"')}]}}`),
  "nested results": (bytes) => answer(`${'{"result":'.repeat(50)}{"x":[${list(bytes, () => "1")}]}${"}".repeat(50)}`),
  "white space": (bytes) => `${" ".repeat(bytes)}${answer("{}")}`,
};

const respond = (guard: Guard, type: string, body: Uint8Array, step: number): number => {
  const stream = send(guard.plugin, { headers: JSON_HEADERS, body: LIST_REQUEST });
  stream.responseHeaders({ ":status": "200", "content-type": type }, false);
  let from = 0;
  for (const to of pieces(body.length, step)) {
    stream.responseBody(body.subarray(from, to), false);
    from = to;
  }
  stream.responseBody(body.subarray(from), true);
  guard.vm.logs.length = 0;
  return stream.downstream.body().length;
};

describe.each([
  ["large pieces", 16_384],
  ["small pieces", 200],
] as const)("%s", (_pieces, step) => {
  const guard = startGuard(POLICY);

  const compare = (type: string, build: (bytes: number) => Uint8Array): void => {
    const [single, double] = [build(SIZES[0]), build(SIZES[1])];
    expectLinear(
      () => respond(guard, type, single, step),
      () => respond(guard, type, double, step),
    );
    expect(guard.vm.failed).toBe(false);
  };

  test.each(Object.entries(FAMILIES))("a JSON body: %s", (_name, build) => {
    compare("application/json", (bytes) => Buffer.from(build(bytes)));
  });

  test.each(Object.entries(FAMILIES))("an event: %s", (_name, build) => {
    compare("text/event-stream", (bytes) => Buffer.from(frame(build(bytes))));
  });

  test.each(HOSTILE_FAMILIES.map((family) => [family.name, family] as const))("a JSON body: %s", (_name, { build }) => {
    // As an answer, which flows, and not as a call, which is held.
    compare("application/json", (bytes) => {
      const text = Buffer.from(build(bytes)).toString("latin1");
      return Buffer.from(text.replace('"method":"tools/call","params":', '"result":'), "latin1");
    });
  });

  test.each([
    ["short lines of one event", (bytes: number) => `${repeated(bytes, "data: 1\n")}\n`],
    ["empty lines", (bytes: number) => repeated(bytes, "\n")],
    ["comments", (bytes: number) => repeated(bytes, ":\n")],
    ["events without data", (bytes: number) => repeated(bytes, "id: 1\n\n")],
    ["ids of one event", (bytes: number) => `${repeated(bytes, "id: 1\n")}\n`],
    ["short events", (bytes: number) => repeated(bytes, frame(answer("{}")))],
    ["a long field that is unknown", (bytes: number) => `${"x".repeat(bytes)}\n\n`],
    ["a long id", (bytes: number) => `id: ${"x".repeat(bytes)}\n\n`],
  ])("an event stream: %s", (_name, build) => {
    compare("text/event-stream", (bytes) => Buffer.from(build(bytes)));
  });
});
