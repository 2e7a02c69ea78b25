// mcp-guard audit in a process of its own. Goal: the exit status says whether the trail is whole, what is printed can be read by people and by programs,
// and a log may be larger than the memory. Method: the compiled command, logs in a folder of their own.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { projectPath } from "../../src/project.ts";
import { schemaComplaints } from "../config/schema.ts";
import { runCommand, startCommand } from "../oci/command.ts";
import { Recorder, toolCall, user } from "./generator.ts";

const MAIN = projectPath("build", "node", "cli", "main.js");

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-audit-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A log in a file. */
function file(name: string, lines: readonly string[]): string {
  const place = path.join(folder, name);
  writeFileSync(place, lines.map((line) => `${line}\n`).join(""));
  return place;
}

const audit = (...args: string[]) => runCommand(["audit", ...args]);

/** With text on the standard input. */
function auditOf(input: string, ...args: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "audit", ...args], { input, encoding: "utf8" });
  return { status, out: stdout, err: stderr };
}

const refusal = { "mcp_guard.decision": "refuse", "mcp_guard.reason": "tool_not_listed" };

/** Two chains with a few exchanges. */
function exchanges(): string[] {
  const [one, two] = [new Recorder("one"), new Recorder("two")];
  return [
    one.next({ ...toolCall("search_code"), ...user("alice") }),
    two.next({ ...toolCall("search_code"), ...user("bob") }),
    one.next({ ...toolCall("system_exec"), ...user("bob"), ...refusal }),
    one.next({ "http.request.method": "GET", "mcp_guard.decision": "pass" }),
    two.next({ ...toolCall("a\u202eb"), ...user("alice"), ...refusal }),
  ];
}

describe("the command line", () => {
  test.each([["--help"], ["verify", "--help"], ["show", "--help"], ["suggest", "-h"], ["convert", "--help"]])(
    "%s %s says what there is",
    async (...args) => {
      const { status, out } = await audit(...args);
      expect(status).toBe(0);
      expect(out).toMatch(/^usage: mcp-guard audit/);
    },
  );

  test.each([
    ["no command", [], "usage: mcp-guard audit"],
    ["an unknown command", ["check"], "there is no command audit check"],
    ["no file", ["verify"], "found no FILE"],
    ["a file that is not there", ["show", "nowhere.log"], "nowhere.log: there is no such file"],
    ["a folder", ["show", "."], "found a folder, expected a file"],
    ["the standard input twice", ["verify", "-", "-"], "found - twice"],
    ["an unknown option", ["verify", "--strict", "-"], "--strict"],
    ["an unknown form", ["verify", "--format", "xml", "-"], "--format xml: expected table or json"],
    ["an unknown decision", ["show", "--decision", "deny", "-"], "--decision deny: expected one of none allow"],
    ["no target", ["convert", "-"], "expected ocsf"],
    ["an unknown target", ["convert", "--to", "cef", "-"], "--to cef: expected ocsf"],
  ])("with %s ends with status 2", async (_, args, words) => {
    const { status, out, err } = await audit(...args);
    expect([status, out]).toEqual([2, ""]);
    expect(err).toContain(words);
  });
});

describe("verify", () => {
  test("of a whole trail shows a line for each chain", async () => {
    const { status, out, err } = await audit("verify", "--from-start", file("whole.log", [...exchanges(), "other"]));
    expect([status, err]).toEqual([0, ""]);
    expect(out.split("\n")).toEqual([
      "chain                             records  sequence  missing  duplicates  reordered  faults  notes",
      "--------------------------------  -------  --------  -------  ----------  ---------  ------  -----",
      `${new Recorder("one").id}  3        1-3       0        0           0          0`,
      `${new Recorder("two").id}  2        1-2       0        0           0          0`,
      "",
      "lines 6: records 5, guard absent 0, unreadable 0, other 1",
      "chains 2: no faults",
      "",
    ]);
  });

  test("names what is missing, and ends with status 1", async () => {
    const lines = new Recorder("one").take(9);
    const place = file("gap.log", [...lines.slice(0, 3), "-", ...lines.slice(5)]);
    const { status, out, err } = await audit("verify", place);
    const { id } = new Recorder("one");
    expect(status).toBe(1);
    expect(err).toBe("mcp-guard audit verify: 2 faults (guard_absent 1, gap 1)\n");
    expect(out).toContain(`first gap: expected 4, found 6 at ${place}:5\n`);
    expect(out).toContain(`${place}:4: guard_absent: found an exchange that no guard saw\n`);
    expect(out).toContain(`${place}:5: chain ${id}, record 6: gap: found record 6, expected 4: 2 missing\n`);
    expect(out).toContain("chains 1: 2 faults (guard_absent 1, gap 1)\n");
  });

  test("gives the same as JSON", async () => {
    const lines = new Recorder("one").take(4);
    const place = file("gap.json.log", [...lines.slice(1, 2), ...lines.slice(3)]);
    const { status, out } = await audit("verify", "--format", "json", place);
    const chain = new Recorder("one").id;
    expect(status).toBe(1);
    expect(JSON.parse(out)).toEqual({
      lines: { total: 2, records: 2, guard_absent: 0, unreadable: 0, other: 0 },
      chains: [
        {
          chain,
          records: 2,
          first: 2,
          last: 4,
          missing: 1,
          duplicates: 0,
          reordered: 0,
          faults: 1,
          first_gap: { expected: 3, found: 4, missing: 1, file: place, line: 2 },
        },
      ],
      fault_count: 1,
      faults_by_kind: { gap: 1 },
      faults: [
        { kind: "gap", chain, sequence: 4, text: "found record 4, expected 3: 1 missing", file: place, line: 2 },
      ],
    });
  });

  test("of a log without records is no success", () => {
    const { status, err } = auditOf("nothing\n", "verify", "-");
    expect(status).toBe(1);
    expect(err).toContain("found no audit record, expected at least one");
  });

  test("shows a hundred faults and counts the others", () => {
    const { status, out } = auditOf("-\n".repeat(150), "verify", "-");
    expect(status).toBe(1);
    expect(out.match(/guard_absent: found/g)).toHaveLength(100);
    expect(out).toContain("and 50 more faults\n");
  });

  test("prints no control character of a log", () => {
    const forged = new Recorder("one").next({ "event.id": "x\u001b[2J\u202e" });
    const { status, out } = auditOf(`${forged}\n`, "verify", "-");
    expect(status).toBe(1);
    expect(out).toContain('event: found event.id "x\\u001b[2J\\u202e", expected');
    expect(out).not.toMatch(/(?!\n)\p{Cc}|\p{Cf}/u);
  });
});

describe("show", () => {
  test("prints the exchanges that are asked for", async () => {
    const place = file("show.log", exchanges());
    const all = await audit("show", place);
    expect([all.status, all.err]).toEqual([0, ""]);
    expect(all.out.match(/^2026-11-02T/gm)).toHaveLength(5);
    expect(all.out).toContain('refuse tool_not_listed  alice  tools/call "a\\u202eb"  200');
    const some = await audit("show", "--user", "bob", "--decision", "refuse", "--tool", "system_exec", place);
    expect(some.out.match(/^2026-11-02T.*$/gm)).toEqual([expect.stringContaining("bob  tools/call system_exec")]);
  });

  test("prints them as JSON", async () => {
    const { out } = await audit("show", "--json", "--tool", "a\u202eb", file("show.json.log", exchanges()));
    expect(out).toMatch(/^[\n\x20-\x7e]+$/);
    expect(JSON.parse(out)).toMatchObject({ "gen_ai.tool.name": "a\u202eb", "user.id": "alice" });
  });

  test("says what it could not read, and ends with status 1", () => {
    const [first = "", second = ""] = exchanges();
    const { status, out, err } = auditOf(`${first}\n${second.slice(0, -9)}\n`, "show", "-");
    expect(status).toBe(1);
    expect(out).toContain("search_code");
    expect(err).toContain(
      "mcp-guard audit show: 1 record could not be used, the first at stdin:2: found the beginning",
    );
  });

  test("ends quietly when its reader has seen enough", () => {
    const lines = new Recorder("one").take(3000);
    const place = file("long.log", lines);
    const { stdout, stderr } = spawnSync(
      "/bin/sh",
      ["-c", '"$0" "$1" audit show "$2" | head -n 1', process.execPath, MAIN, place],
      {
        encoding: "utf8",
      },
    );
    expect(stdout.split("\n")).toHaveLength(2);
    expect(stderr).toBe("");
  });
});

describe("suggest", () => {
  test("prints a policy", async () => {
    const { status, out } = await audit("suggest", file("suggest.log", exchanges()));
    expect(status).toBe(0);
    const policy: unknown = parse(out);
    expect(policy).toEqual({ tool_allowlist: ["search_code", "a\u202eb", "system_exec"] });
    expect(schemaComplaints(policy)).toEqual([]);
  });

  test("tells in the policy what it could not use", () => {
    const [first = ""] = exchanges();
    const forged = first.replace('"POST"', "1");
    const { status, out, err } = auditOf(`${first}\n-\n${forged}\n`, "suggest", "-");
    expect(status).toBe(1);
    expect(err).toContain("1 record could not be used, the first at stdin:3");
    expect(out).toContain("#   1 record could not be used, the first at stdin:3: does not fit");
    expect(out).toContain("#   1 exchanges were seen by no guard");
    expect(parse(out)).toEqual({ tool_allowlist: ["search_code"] });
  });
});

describe("convert", () => {
  test("loses nothing to a reader that is slow", () => {
    const place = file("slow.log", new Recorder("one").take(4000));
    const script = '"$0" "$1" audit convert --to ocsf "$2" | (sleep 1; wc -l)';
    const { stdout } = spawnSync("/bin/sh", ["-c", script, process.execPath, MAIN, place], { encoding: "utf8" });
    expect(Number(stdout)).toBe(4000);
  });

  test("prints an event for each record, from the member that is named", async () => {
    const lines = exchanges().map((audit) => JSON.stringify({ user_agent: exchanges()[0], audit }));
    const { status, out } = await audit("convert", "--to", "ocsf", "--member", "audit", file("convert.log", lines));
    expect(status).toBe(0);
    const events = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { metadata: { uid: string } });
    const ids = exchanges().map((line) => (JSON.parse(line) as Record<string, unknown>)["event.id"]);
    expect(events.map(({ metadata }) => metadata.uid)).toEqual(ids);
  });
});

describe("a log that is larger than the memory", () => {
  const RECORDS = 200_000;
  /** What Node itself takes, and some. The log has about 140 MB, and its records as objects several times that. */
  const MEMORY_MB = 160;

  test(`${RECORDS} records of interleaved chains in bounded memory`, async () => {
    const place = path.join(folder, "large.log");
    const writer = createWriteStream(place);
    const chains = Array.from({ length: 8 }, (_, i) => new Recorder(`large ${i}`));
    for (let i = 0; i < RECORDS; i += 1000) {
      const lines = Array.from({ length: 1000 }, (_, k) => {
        const chain = chains[(i + k * 5) % chains.length] as Recorder;
        return `${chain.next({ ...toolCall(`tool_${k}`), ...user(`user_${i % 77}`) })}\n`;
      });
      if (!writer.write(lines.join(""))) await once(writer, "drain");
    }
    writer.end();
    await once(writer, "finish");
    // The largest resident size is what the kernel says of a process that has ended.
    const code = `process.argv.splice(1, 1); process.on("exit", () => process.stderr.write(String(process.resourceUsage().maxRSS))); await import(process.argv[1]);`;
    const args = ["--input-type=module", "-e", code, "x", MAIN, "audit", "verify", "--from-start", place];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(stdout).toContain(`records ${RECORDS}, guard absent 0, unreadable 0, other 0\nchains 8: no faults\n`);
    expect(status).toBe(0);
    expect(Number(stderr) / 1024).toBeLessThan(MEMORY_MB);
  }, 120_000);
});

test("an interruption is no success", async () => {
  const running = startCommand(["audit", "verify", "/dev/zero"]);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  running.child.kill("SIGINT");
  const { status, err } = await running.ended;
  expect([status, err]).toEqual([130, "mcp-guard audit: interrupted in /dev/zero\n"]);
});
