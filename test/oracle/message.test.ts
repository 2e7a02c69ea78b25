// The reference verdict: which reason comes first, which others are justified, and what the rules for names and ids say.

import { expect, test } from "vitest";
import { bytes, call, safeCall } from "../vectors/bytes.ts";
import { faults, foldName, type MessagePolicy, messageVerdict } from "./message.ts";

const POLICY: MessagePolicy = { tool_allowlist: ["safe"] };

const refusal = (body: Uint8Array, policy: MessagePolicy = POLICY): readonly string[] => [...faults(body, policy)];

test("the first fault is the verdict", () => {
  expect(messageVerdict(call('"name":"safe"'), POLICY)).toEqual({ verdict: "allow" });
  expect(messageVerdict(call('"name":"evil"'), POLICY)).toEqual({ verdict: "refuse", reason: "tool_not_listed" });
});

test("a body with several faults justifies each of them, in the order of the rules", () => {
  const body = bytes(
    '{"Id":1,"id":null,"method":"tools/call","result":{},"params":{"name":"evil","arguments":null,"task":1}}',
  );
  expect(refusal(body)).toEqual([
    "near_name",
    "jsonrpc_version",
    "message_mixed",
    "id_invalid",
    "tool_not_listed",
    "task_denied",
    "params_invalid",
  ]);
});

test("a near name before an error of the JSON is a fault too, one behind it is not", () => {
  expect(refusal(bytes('{"ID":1,}'))).toEqual(["json_syntax", "near_name"]);
  expect(refusal(bytes('{"id":1,,"ID":1}'))).toEqual(["json_syntax"]);
  expect(refusal(bytes('{"params":{"_meta":{"PROGRESSTOKEN":1'))).toEqual(["json_incomplete", "near_name"]);
});

test("near names count in the objects of the protocol only", () => {
  for (const members of [
    '"x":{"Name":1}',
    '"x":[{"Name":1}]',
    '"_meta":{"x":{"ProgressToken":1}}',
    '"ref":[{"Uri":1}]',
  ]) {
    expect(refusal(call(`"name":"safe",${members}`))).toEqual([]);
  }
  expect(refusal(safeCall('"params":{"Name":1,"_meta":{"ProgressToken":1}}'))).toEqual([]);
  expect(refusal(bytes('{"jsonrpc":"2.0","id":1,"result":{"Method":1,"params":{"Name":1}}}'))).toEqual([]);
});

test.each([
  ["name", "name"],
  ["NAME", "name"],
  ["param\u017f", "params"],
  ["PARAM\u017f", "params"],
  ["tas\u212a", "task"],
  ["name\0\0", "name"],
  [" name\t\0 \n", "name"],
  ["\0\u001fname", "name"],
  ["na me", "na me"],
  ["na\0me", "na\0me"],
  ["name\u00a0", "name\u00a0"],
  ["\0 \t", ""],
  ["", ""],
])("%j folds to %j", (name, folded) => {
  expect(foldName(name)).toBe(folded);
});
