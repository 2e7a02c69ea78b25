import { describe, expect, test } from "vitest";
import { type MethodRow, methodTable, openedBy, policyNotes, type TablePolicy } from "../../src/policy/method-table.ts";

function row(policy: TablePolicy, methods: RegExp): MethodRow {
  const found = methodTable(policy).filter((candidate) => methods.test(candidate.methods));
  expect(found, `rows for ${methods}`).toHaveLength(1);
  return found[0]!;
}

describe("the standard's two-line policy", () => {
  const policy = { tool_allowlist: ["search_code", "get_pull_request"] };

  test.each([/^initialize, ping/, /^notifications\/initialized/, /^tools\/list/, /^subscriptions\/listen/])(
    "%s passes",
    (methods) => {
      expect(row(policy, methods).verdict).toBe("passes");
    },
  );

  test("tools/call goes by the list, which it shows", () => {
    expect(row(policy, /^tools\/call/)).toMatchObject({
      verdict: "by list",
      detail: "search_code, get_pull_request",
      openedBy: "tool_allowlist",
    });
  });

  test.each([
    [/^prompts\/get/, "prompt_allowlist"],
    [/^resources\/read/, "resource_roots"],
    [/^tasks\//, "tasks"],
    [/^anything else/, "method_allowlist"],
  ])("%s is refused and says what would open it", (methods, openedBy) => {
    expect(row(policy, methods)).toMatchObject({ verdict: "refused", openedBy });
  });

  test("no method stands in two rows", () => {
    const methods = methodTable(policy).map((candidate) => candidate.methods);
    expect(new Set(methods).size).toBe(methods.length);
  });
});

test("an empty or absent list refuses every tool", () => {
  expect(row({ tool_allowlist: [] }, /^tools\/call/).verdict).toBe("refused");
  expect(row({}, /^tools\/call/).verdict).toBe("refused");
});

describe("tools that change things", () => {
  test("are listed in vain without an approval", () => {
    expect(row({ tool_allowlist: ["echo", "delete_repo"] }, /^tools\/call/)).toMatchObject({
      verdict: "by list",
      detail: "echo; listed, but refused without approval: delete_repo",
      openedBy: "tool_allowlist, approval",
    });
  });

  test("alone on the list leave nothing open", () => {
    expect(row({ tool_allowlist: ["update_issue", "execute"] }, /^tools\/call/).verdict).toBe("refused");
  });

  test("pass by the written decision to do without an approval", () => {
    const policy = { tool_allowlist: ["delete_repo"], approval: { mode: "off" } };
    expect(row(policy, /^tools\/call/)).toMatchObject({ verdict: "by list", detail: "delete_repo" });
  });

  test("are told by the prefix, in small letters only, as the filter does", () => {
    expect(row({ tool_allowlist: ["Delete_repo", "undelete"] }, /^tools\/call/).detail).toBe("Delete_repo, undelete");
  });
});

test("further methods get a row of their own above the rest", () => {
  const rows = methodTable({ tool_allowlist: [], method_allowlist: ["skills/list", "vendor/x"] });
  expect(rows.at(-2)).toMatchObject({ methods: "skills/list, vendor/x", verdict: "passes" });
  expect(rows.at(-1)).toMatchObject({ methods: "anything else", verdict: "refused" });
});

test("monitor mode and unguarded endpoints are said, because the table alone would be wrong about them", () => {
  const notes = policyNotes({ mode: "monitor", unguarded: [{ methods: ["POST"], path: "/oauth/token" }] });
  expect(notes).toContain("mode is monitor: what the table calls refused is recorded, and passes.");
  expect(notes).toContain("unguarded: POST /oauth/token passes without being read.");
  expect(policyNotes({ tool_allowlist: [], mode: "enforce" })).toHaveLength(1);
});

test("a refusal's reason leads to the member that opens it, and a malformed message to none", () => {
  expect(openedBy("tool_not_listed")).toBe("tool_allowlist");
  expect(openedBy("json_incomplete")).toBeUndefined();
  expect(openedBy("constructor")).toBeUndefined();
});
