import { describe, expect, test } from "vitest";
import {
  entryText,
  type MethodRow,
  methodTable,
  openedBy,
  policyNotes,
  renderMethodTable,
  type TablePolicy,
  verdictText,
} from "../../src/policy/method-table.ts";

function row(policy: TablePolicy, entry: string): MethodRow {
  const found = methodTable(policy).filter(({ entries }) => entries.some((other) => entryText(other) === entry));
  expect(found, `rows for ${entry}`).toHaveLength(1);
  return found[0]!;
}

describe("the standard's two-line policy", () => {
  const policy = { tool_allowlist: ["search_code", "get_pull_request"] };

  test.each([
    "initialize",
    "notifications/initialized",
    "a client's responses",
    "tools/list",
    "subscriptions/listen without resource URIs and task ids",
  ])("%s passes", (entry) => {
    expect(row(policy, entry)).toMatchObject({ verdict: "passes", openedBy: [] });
  });

  test("tools/call goes by the list, which it shows", () => {
    expect(row(policy, "tools/call")).toMatchObject({ verdict: "by list", openedBy: ["tool_allowlist"] });
    expect(verdictText(row(policy, "tools/call"))).toBe("by list: search_code, get_pull_request");
  });

  test.each([
    ["prompts/get", "prompt_allowlist"],
    ["completion/complete for a prompt", "prompt_allowlist"],
    ["resources/read", "resource_roots"],
    ["completion/complete for a resource", "resource_roots"],
    ["subscriptions/listen with resource URIs", "resource_roots"],
    ["tasks/get", "tasks"],
    ["subscriptions/listen with task ids", "tasks"],
    ["anything else", "method_allowlist"],
  ])("%s is refused and says what would open it", (entry, openedBy) => {
    expect(row(policy, entry)).toMatchObject({ verdict: "refused", openedBy: [openedBy] });
  });

  test("nothing opens a tasks/ method that no revision has", () => {
    expect(row(policy, "any other tasks/ method")).toMatchObject({ verdict: "refused", openedBy: [] });
    expect(row({ ...policy, tasks: "allow" }, "any other tasks/ method").verdict).toBe("refused");
  });

  test("no entry stands in two rows", () => {
    const entries = methodTable(policy).flatMap((candidate) => candidate.entries.map(entryText));
    expect(new Set(entries).size).toBe(entries.length);
  });
});

test("an empty or absent list refuses everything that goes by it", () => {
  for (const entry of ["tools/call", "prompts/get", "resources/read"]) {
    expect(row({ tool_allowlist: [], prompt_allowlist: [], resource_roots: [] }, entry).verdict).toBe("refused");
    expect(row({}, entry).verdict).toBe("refused");
  }
});

test("prompts, roots and tasks open their rows", () => {
  const policy = { prompt_allowlist: ["code_review"], resource_roots: ["mcp://logs/"], tasks: "allow" };
  expect(verdictText(row(policy, "prompts/get"))).toBe("by list: code_review");
  expect(verdictText(row(policy, "subscriptions/listen with resource URIs"))).toBe("by list: mcp://logs/");
  expect(row(policy, "tasks/list").verdict).toBe("passes");
});

describe("tools that change things", () => {
  test("are listed in vain without an approval", () => {
    const tools = row({ tool_allowlist: ["echo", "delete_repo"] }, "tools/call");
    expect(verdictText(tools)).toBe("by list: echo; listed, but refused without approval: delete_repo");
    expect(tools.openedBy).toEqual(["tool_allowlist", "approval"]);
  });

  test("alone on the list leave nothing open", () => {
    expect(row({ tool_allowlist: ["update_issue", "execute"] }, "tools/call").verdict).toBe("refused");
  });

  test("pass by the written decision to do without an approval", () => {
    const policy = { tool_allowlist: ["delete_repo"], approval: { mode: "off" } };
    expect(verdictText(row(policy, "tools/call"))).toBe("by list: delete_repo");
  });

  test("are told by the words of their names and by the policy's lists, as the filter does", () => {
    const tools = ["Delete_repo", "undelete", "last_updated"];
    expect(row({ tool_allowlist: tools }, "tools/call").listed).toEqual(["undelete"]);
    const approval = { exempt: ["last_updated"], tools: ["undelete"] };
    expect(row({ tool_allowlist: tools, approval }, "tools/call").listed).toEqual(["last_updated"]);
  });
});

describe("further methods", () => {
  test("get a row of their own above the rest", () => {
    const rows = methodTable({ tool_allowlist: [], method_allowlist: ["skills/list", "vendor/x"] });
    expect(rows.at(-2)?.entries.map(entryText)).toEqual(["skills/list", "vendor/x"]);
    expect(rows.at(-2)?.verdict).toBe("passes");
    expect(rows.at(-1)).toMatchObject({ verdict: "refused", openedBy: ["method_allowlist"] });
  });

  test("skills/get still goes by the roots", () => {
    const policy = { tool_allowlist: [], method_allowlist: ["skills/get"] };
    expect(row(policy, "skills/get")).toMatchObject({ verdict: "refused", openedBy: ["resource_roots"] });
    expect(row({ ...policy, resource_roots: ["skill://"] }, "skills/get").verdict).toBe("by list");
  });
});

describe("as Markdown", () => {
  test("methods, names and members are code", () => {
    const lines = renderMethodTable({ tool_allowlist: ["echo"] });
    expect(lines.slice(0, 2)).toEqual(["| method | verdict | opened by |", "| --- | --- | --- |"]);
    expect(lines).toContain("| `tools/call` | by list: `echo` | `tool_allowlist` |");
    expect(lines.at(-1)).toBe("| anything else | refused | `method_allowlist` |");
  });

  test("a name cannot break out of its cell", () => {
    const lines = renderMethodTable({ tool_allowlist: ["a|b`c\nd"] });
    expect(lines).toContain("| `tools/call` | by list: `a\\|b'c d` | `tool_allowlist` |");
  });
});

describe("the notes say what the table alone would be wrong about:", () => {
  const note = (policy: TablePolicy) => policyNotes({ tool_allowlist: [], ...policy }).join("\n");

  test("monitor mode", () => {
    expect(note({ mode: "monitor" })).toContain("what the table calls refused is recorded, and passes");
    expect(note({ mode: "enforce" })).not.toContain("monitor");
  });

  test("unguarded endpoints", () => {
    const policy = { unguarded: [{ methods: ["POST"], path: "/oauth/token" }] };
    expect(note(policy)).toContain("unguarded: POST /oauth/token passes without being read.");
  });

  test("argument rules", () => {
    const policy = { argument_rules: [{ tool: "read_file", pointer: "/path" }] };
    expect(note(policy)).toContain("tools/call read_file is also refused when /path breaks its rule.");
  });

  test("the looser traversal rule", () => {
    expect(note({ uri_traversal: "segment" })).toContain(".. inside a segment of a URI passes");
    expect(note({ uri_traversal: "literal" })).not.toContain("segment");
  });

  test("requests that the modern era has no more", () => {
    expect(note({})).toMatch(/^requests of revision 2026-07-28 have no initialize, .*: there these are refused\.$/m);
  });

  test("web pages and hosts", () => {
    expect(note({})).toContain(
      "allowed_origins is empty: a request with an Origin header, as web pages send it, is refused.",
    );
    expect(note({ allowed_origins: ["https://a.example"] })).toContain("pass from https://a.example.");
    expect(note({ allowed_hosts: ["mcp.example"] })).toContain("requests pass for mcp.example only.");
  });
});

describe("rules", () => {
  const rules = [
    {
      groups: [{ issuer: "https://idp.example", claim: "groups", value: "maintainers" }],
      tool_allowlist: ["delete_branch", "merge"],
      approval: { exempt: ["delete_branch"] },
    },
    {
      principals: [{ issuer: "https://idp.example", value: "alice" }],
      workloads: ["spiffe://a/b"],
      tool_allowlist: ["merge"],
      prompt_allowlist: ["review"],
      resource_roots: ["mcp://logs/"],
    },
  ];
  const policy: TablePolicy = { tool_allowlist: ["search_code"], approval: { mode: "required" }, rules };

  test("a row shows what everybody gets, and what rules add, with the rules", () => {
    expect(row(policy, "tools/call")).toMatchObject({ verdict: "by list", listed: ["search_code"] });
    expect(verdictText(row(policy, "tools/call"))).toBe(
      "by list: search_code; for some also delete_branch (rules[0]), merge (rules[0], rules[1]); after a human's approval, but for whom a rule exempts: delete_branch",
    );
    expect(row(policy, "tools/call").openedBy).toEqual(["tool_allowlist", "rules"]);
  });

  test("what only rules list is by list, and nothing in it is for everybody", () => {
    expect(row(policy, "prompts/get")).toMatchObject({
      verdict: "by list",
      listed: [],
      detail: "for some also review (rules[1])",
      openedBy: ["prompt_allowlist", "rules"],
    });
    expect(row(policy, "resources/read").detail).toBe("for some also mcp://logs/ (rules[1])");
    expect(row({ ...policy, rules: rules.slice(0, 1) }, "prompts/get").verdict).toBe("refused");
  });

  test("a tool of a rule that is flagged and has no approval is told", () => {
    const { approval: _, ...without } = policy;
    const [first, second] = rules;
    const { approval: __, ...strict } = first!;
    expect(row({ ...without, rules: [strict, second!] }, "tools/call")).toMatchObject({
      listed: ["search_code"],
      detail: expect.stringContaining("; listed, but refused without approval: delete_branch"),
      openedBy: ["tool_allowlist", "rules", "approval"],
    });
  });

  test("each rule has a note that says for whom it is and what it adds", () => {
    expect(policyNotes(policy).filter((note) => note.startsWith("rules"))).toEqual([
      "rules[0] adds for whoever has maintainers in groups, said by https://idp.example: tools delete_branch, merge; no approval for delete_branch.",
      "rules[1] adds for alice of https://idp.example, and then only peers at or below spiffe://a/b: tools merge; prompts review; resources below mcp://logs/.",
    ]);
  });

  test("many rules, and many names, are cut", () => {
    const many = Array.from({ length: 23 }, (_, at) => ({
      workloads: Array.from({ length: 10 }, (_, index) => `spiffe://a/${at}/${index}`),
      approval: { mode: "off" },
    }));
    const notes = policyNotes({ tool_allowlist: [], rules: many }).filter((note) => note.startsWith("rules"));
    expect(notes).toHaveLength(21);
    expect(notes[0]).toMatch(/ or 2 more: no approval for any tool\.$/);
    expect(notes.at(-1)).toBe("rules has 3 more entries.");
  });
});

describe("notes about tokens, rates and who asks", () => {
  const note = (policy: TablePolicy) => policyNotes({ tool_allowlist: [], ...policy }).join("\n");

  test("what becomes of the Authorization header", () => {
    expect(note({ authorization: "strip" })).toContain("no Authorization header reaches the server");
    const exchange = { service: { authority: "idp.example" }, audience: "github" };
    expect(note({ authorization: "exchange", token_exchange: exchange })).toContain(
      "the server gets one of idp.example for github.",
    );
    expect(note({ authorization: "pass" })).not.toContain("authorization");
  });

  test("rates, whose burst is that of a whole period unless it is said", () => {
    const limits = { per_principal: { requests: 60, seconds: 30 }, per_tool: { requests: 5, seconds: 1, burst: 2 } };
    expect(note({ rate_limit: limits })).toContain(
      "rate_limit: 60 messages in 30 seconds, 60 at once, for each principal and worker.\nrate_limit: 5 calls in 1 seconds, 2 at once, for each tool and worker.",
    );
    expect(note({})).not.toContain("rate_limit");
  });

  test("a human who must be named counts more than somebody", () => {
    expect(note({ identity: { require_principal: true } })).toContain("identity.require_principal: ");
    expect(note({ identity: { require_principal: true, require_human: true } })).not.toContain("require_principal");
  });
});

test("a refusal's reason leads to the member that opens it, and a malformed message to none", () => {
  expect(openedBy("tool_not_listed")).toBe("tool_allowlist");
  expect(openedBy("argument_not_allowed")).toBe("argument_rules");
  expect(openedBy("origin_not_allowed")).toBe("allowed_origins");
  expect(openedBy("principal_required")).toBe("identity.require_principal");
  expect(openedBy("token_exchange_refused")).toBeUndefined();
  expect(openedBy("json_incomplete")).toBeUndefined();
  expect(openedBy("uri_malformed")).toBeUndefined();
  expect(openedBy("constructor")).toBeUndefined();
});
