// The records that docs/audit.md shows, against those that a real Envoy writes: each heading of its section names a way of test/integration/audit-ways.ts,
// which is gone again here.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { type AuditRig, startAuditRig, WAYS } from "../integration/audit-ways.ts";
import { processDriver } from "../integration/drivers/process.ts";
import { type Json, recordOf } from "../integration/record-log.ts";

/** What no two exchanges share. */
const VARYING = [
  ...["time", "event.id", "mcp_guard.chain.id", "mcp_guard.chain.sequence", "mcp_guard.chain.previous"],
  ...["mcp_guard.policy", "http.request.id"],
  ...["mcp_guard.duration.guard_us", "mcp_guard.duration.server_us", "mcp_guard.duration.total_us"],
];
/** What the page shows once, in its first record. */
const SHOWN_ONCE = ["mcp_guard.audit.version", ...VARYING];
const SHOWN_MIN = 10;

const page = readFileSync(projectPath("docs", "audit.md"), "utf8");
const section = /^## Records\n(.*?)(?=^## )/ms.exec(page)?.[1] ?? "";
const shown = [...section.matchAll(/^### (.+?)\n.*?^```json\n(.*?)^```$/gms)].map(([, heading = "", text = ""]) => ({
  name: heading.charAt(0).toLowerCase() + heading.slice(1),
  members: JSON.parse(text) as Json,
}));

let audit: AuditRig;

beforeAll(async () => {
  audit = await startAuditRig({ driver: processDriver });
});

afterAll(() => audit?.stop());

test("the page shows records", () => {
  expect(shown.length).toBeGreaterThanOrEqual(SHOWN_MIN);
  expect(section).toContain("npx vitest run test/docs/audit-records.test.ts");
});

test.each(shown.map(({ name, members }, index) => [name, members, index === 0] as const))(
  "%s",
  async (name, members, isWhole) => {
    const way = WAYS.find((known) => known.name === name);
    if (way === undefined) throw new Error(`${name} is no way of test/integration/audit-ways.ts`);
    const [line] = await audit.go(way, "h1", way.guard ?? "released");
    const record = recordOf(line!);
    const left = isWhole ? [] : SHOWN_ONCE;
    const written = Object.entries(record).filter(([member]) => !left.includes(member));
    expect(Object.keys(members)).toEqual(written.map(([member]) => member));
    for (const [member, value] of written) {
      if (VARYING.includes(member)) expect(typeof members[member], member).toBe(typeof value);
      else expect(members[member], member).toEqual(value);
    }
  },
);
