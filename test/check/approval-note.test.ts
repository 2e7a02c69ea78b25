// What the answer to question 4 rests on. Goal: whoever reads a yes also reads about which tools nobody is asked. Method: policies, one by one.
import { expect, test } from "vitest";
import { approvalNote } from "../../src/check/rules/approval.ts";
import { REQUIRED } from "../config/approval-member.ts";

const nine = Array.from({ length: 9 }, (_, index) => `execute_${index}`);

test.each([
  ["no guard", [], "nothing to approve: no flagged tool is listed"],
  ["a guard without a policy", [undefined], "nothing to approve: no flagged tool is listed"],
  ["no flagged tool", [{ tool_allowlist: ["get"] }], "nothing to approve: no flagged tool is listed"],
  [
    "a flagged tool and nobody who is asked",
    [{ tool_allowlist: ["get", "delete_it"] }],
    "closed: calls of delete_it are listed and refused all the same",
  ],
  [
    "a tool that the policy flags",
    [{ tool_allowlist: ["drop_it"], approval: { tools: ["drop_it"] } }],
    "closed: calls of drop_it are listed and refused all the same",
  ],
  [
    "a human who is asked",
    [{ tool_allowlist: ["get", "delete_it"], approval: REQUIRED }],
    "a human approves each call of delete_it",
  ],
  [
    "many tools",
    [{ tool_allowlist: nine, approval: REQUIRED }],
    "a human approves each call of execute_0, execute_1, execute_2, execute_3, execute_4 and 4 more",
  ],
  [
    "a human who is asked about one of two",
    [{ tool_allowlist: ["delete_it", "update_it"], approval: { ...REQUIRED, exempt: ["update_it"] } }],
    "a human approves each call of delete_it; nobody is asked about update_it: exempt",
  ],
  [
    "an exempt tool alone",
    [{ tool_allowlist: ["delete_it"], approval: { exempt: ["delete_it"] } }],
    "nothing to approve: no flagged tool is listed; nobody is asked about delete_it: exempt",
  ],
  [
    "exempt tools that are not listed, or have no such word",
    [{ tool_allowlist: ["drop_it"], approval: { exempt: ["drop_it", "delete_it"] } }],
    "nothing to approve: no flagged tool is listed",
  ],
  [
    "two guards, of which one asks",
    [{ tool_allowlist: ["delete_it"] }, { tool_allowlist: ["update_it"], approval: REQUIRED }],
    "a human approves each call of update_it; closed: calls of delete_it are listed and refused all the same",
  ],
])("%s", (_, policies, note) => {
  expect(approvalNote(policies)).toBe(note);
});
